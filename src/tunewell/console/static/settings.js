// A page that tells a secret is the answer to a form: a reload shows the section instead of sending the form again.
if (document.querySelector("[data-once], .remark")) history.replaceState(null, "", location.href);

// Where sections stand in one line, the one that is shown is in sight.
const shown = document.querySelector(".sections [aria-current]");
if (shown) shown.parentElement.scrollLeft = shown.offsetLeft - shown.parentElement.offsetLeft - 40;
