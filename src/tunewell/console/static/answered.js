// A page that answers a form: going back to it, or loading it again, asks for the page, and does not send the form again.
history.replaceState(history.state, "", location.href);
