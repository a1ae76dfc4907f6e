"use strict";
(() => {
  const field = document.getElementById("search"), said = document.getElementById("said");
  const studies = [...document.querySelectorAll(".studies > li")];
  const families = [...document.querySelectorAll(".members")];
  const elsewhere = [...document.querySelectorAll("#map, #rejected, #symptoms, #methods, nav")];
  field.form.hidden = false;
  field.form.addEventListener("submit", (event) => event.preventDefault());
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const study of studies) {
      study.hidden = !words.every((word) => study.dataset.text.includes(word));
      count += study.hidden ? 0 : 1;
    }
    for (const family of families) family.hidden = !family.querySelector(".studies > li:not([hidden])");
    for (const part of elsewhere) part.hidden = words.length > 0;
    said.textContent = words.length ? `${count} of ${studies.length} studies` : "";
  };
  field.addEventListener("input", search);
  search();
})();
