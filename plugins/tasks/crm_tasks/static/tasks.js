// Tasks: what comes next after the last one, the keys of lines, the board.
import { ask, behave, complain, isTyping, keyOf, on, openDialog, reloadMain, sortable } from "crm/ui";

// Nothing is left to be done with a record: the server asks what comes next.
document.addEventListener("crm:next", (event) => {
  if (document.querySelector("dialog[open]:not(#side-sheet)")) return;
  openDialog(event.detail.href);
});

// The line of my day is emptied once it is sent.
document.addEventListener("crm:sent", (event) => {
  const line = event.target.matches?.("form.tasks-quick") && event.target.querySelector("[data-quick], [name=title]");
  if (line) line.value = "";
});

// Lines and cards are gone through by arrows, or by j and k; their buttons have keys of their own.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const dialog = document.querySelector("dialog[open]:not(#side-sheet)");
  if (dialog) {
    const digit = dialog.querySelector(`[data-digit="${CSS.escape(event.key)}"]`);
    if (digit) {
      event.preventDefault();
      digit.click();
    }
    return;
  }
  const pressed = keyOf(event);
  const board = document.querySelector("[data-task-board]");
  const here = document.activeElement?.closest?.(".tasks-line, .tasks-card");
  if (board && here && pressed === "m") {
    event.preventDefault();
    here.querySelector(".tasks-move")?.click();
    return;
  }
  if (board && here && ["ArrowLeft", "ArrowRight"].includes(pressed)) {
    const columns = [...board.querySelectorAll(".tasks-column")].filter((each) => each.querySelector(".tasks-card"));
    const next = columns[columns.indexOf(here.closest(".tasks-column")) + (pressed === "ArrowRight" ? 1 : -1)];
    next?.querySelector(".tasks-title")?.focus();
    event.preventDefault();
    return;
  }
  const by = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[pressed];
  if (!by || document.querySelector("main .crm-table")) return;
  const box = here?.closest(".tasks-column") ?? document.getElementById("main");
  const all = [...box.querySelectorAll(".tasks-line, .tasks-card")].filter((each) => each.offsetParent);
  const next = all[Math.max(0, Math.min(all.length - 1, here ? all.indexOf(here) + by : 0))];
  if (!next) return;
  event.preventDefault();
  next.querySelector(".tasks-title")?.focus();
});

// --- the board -------------------------------------------------------------------------------------------------------

async function move(card, list) {
  try {
    const body = new URLSearchParams({ state: list.dataset.state });
    await ask(`/tasks/${card.dataset.id}/state`, { method: "POST", body });
    await reloadMain();
  } catch (error) {
    complain(error);
    await reloadMain();
  }
}
behave("[data-task-board] .tasks-cards", (list) => {
  sortable(list, {
    group: "tasks", draggable: ".tasks-card", delay: 120, delayOnTouchOnly: true, sort: false, ghostClass: "is-ghost",
    onAdd: (event) => move(event.item, event.to),
  });
});

// Of the fields of a rule only those are shown that it has.
on("change", "form#repeat", (_event, form) => fit(form));
behave("form#repeat", (form) => fit(form));
function fit(form) {
  const value = (name) => form.elements[name]?.value;
  const show = (name, wanted) => {
    const control = form.elements[name]?.length && !form.elements[name].options ? form.elements[name][0] : form.elements[name];
    const field = (control ?? form.querySelector(`[name="${name}"], [name="${name}-end"]`))?.closest(".crm-field");
    if (field) field.hidden = !wanted;
  };
  const ruled = value("mode") !== "done";
  show("days", ruled && value("freq") === "WEEKLY");
  show("by", ruled && value("freq") === "MONTHLY");
  show("nth", ruled && value("freq") === "MONTHLY" && value("by") === "nth");
  show("nth_day", ruled && value("freq") === "MONTHLY" && value("by") === "nth");
  show("count", value("ends") === "count");
  show("until", value("ends") === "until");
}
// The same of a task of a set: whose it is decides what else is asked.
on("change", "form#line", (_event, form) => whose(form));
behave("form#line", (form) => whose(form));
function whose(form) {
  for (const [name, kind] of [["role", "role"], ["user_id", "person"]]) {
    const field = form.elements[name]?.closest?.(".crm-field");
    if (field) field.hidden = form.elements.assignee?.value !== kind;
  }
}
