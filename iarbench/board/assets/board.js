// The page: which task is shown, what the address says, and copying. Without this script every table is there all the same.
"use strict";

(() => {
  document.documentElement.classList.add("scripted");
  const groups = JSON.parse(document.getElementById("data").textContent);
  const sections = [...document.querySelectorAll("section.group, section#reported")];
  const updates = new Map();

  // "#mini-v4?attack=jpeg50&target=var-mini": the task, and what its switches say where it is not the first choice.
  const address = () => {
    const [id, query = ""] = decodeURIComponent(location.hash.slice(1)).split("?");
    return { id, choices: new URLSearchParams(query) };
  };
  const nameOf = (option) => option.dataset.family || option.textContent.trim();

  const apply = (form, choices) => {
    for (const control of form.elements) {
      const wanted = choices.get(control.name);
      if (control.type === "checkbox") control.checked = wanted === "yes";
      else if (control.options) {
        const found = [...control.options].findIndex((option) => nameOf(option) === wanted || option.value === wanted);
        control.selectedIndex = Math.max(found, 0);
      }
    }
  };
  const say = (section, form) => {
    const choices = new URLSearchParams();
    for (const control of form.elements) {
      if (control.type === "checkbox" ? control.checked : control.selectedIndex > 0) {
        choices.set(control.name, control.type === "checkbox" ? "yes" : nameOf(control.selectedOptions[0]));
      }
    }
    const query = choices.toString();
    history.replaceState(null, "", `#${section.id}${query ? `?${query}` : ""}`);
  };

  const start = (section) => {
    const group = groups[Number(section.dataset.group)];
    for (const form of section.querySelectorAll("form.switches")) {
      form.hidden = false;
      form.addEventListener("submit", (event) => event.preventDefault());
    }
    const form = section.querySelector("form.switches");
    const update = Board[group.kind](section, group);
    form.addEventListener("change", () => {
      say(section, form);
      update();
    });
    updates.set(section, (choices) => {
      apply(form, choices);
      update();
    });
  };

  const show = () => {
    const { id, choices } = address();
    const section = sections.find((one) => one.id === id) || (document.getElementById(id) ? null : sections[0]);
    if (!section) return;
    for (const one of sections) one.hidden = one !== section;
    for (const link of document.querySelectorAll("#tasks a")) {
      if (link.getAttribute("href") === `#${section.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (!section.classList.contains("group")) {
      for (const table of section.querySelectorAll("table:not(.dataTable)")) Board.sortable(table, null);
      return;
    }
    if (!updates.has(section)) start(section);
    updates.get(section)(choices);
  };

  addEventListener("hashchange", show);
  show();
})();
