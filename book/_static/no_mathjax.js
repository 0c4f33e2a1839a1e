/* Linked instead of MathJax where the build had no copy of it: says so once per page. */
document.addEventListener("DOMContentLoaded", function () {
  var maths = document.querySelector(".math");
  var article = document.querySelector("article");
  if (!maths || !article || document.querySelector(".pg-no-maths")) return;
  var note = document.createElement("p");
  note.className = "pg-note pg-no-maths";
  note.textContent =
    "Equations are shown as TeX source: this copy of the site was built without MathJax. " +
    "`make book` adds it.";
  article.prepend(note);
});
