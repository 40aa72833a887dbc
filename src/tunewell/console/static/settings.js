// A page that tells a secret is the answer to a form: a reload shows the section instead of sending the form again.
if (document.querySelector("[data-once], .remark")) history.replaceState(null, "", location.href);
