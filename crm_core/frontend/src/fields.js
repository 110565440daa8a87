// Controls of forms: pickers, tags, repeated rows, files, drafts, remarks while one types.
import { ask, behave, complain, element, icon, on, refresh, toast, word } from "./ui.js";

// --- pickers ---------------------------------------------------------------------------------------------------------

behave("select[data-picker]", async (select) => {
  const { default: TomSelect } = await import("tom-select/dist/esm/tom-select.complete.js");
  if (!select.isConnected || select.tomselect) return;
  const remote = select.dataset.options;
  const quick = select.dataset.quick;
  // What was asked last and has been answered: before that nobody knows whether it is there already.
  let answered = null;
  let found = new Set();
  const many = select.multiple;
  const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
  // In the place of a value one goes on typing at once.
  const awaited = document.activeElement === select && select.form?.dataset.inplace;
  const draw = (item, escape, full) => {
    const face = item.photo_href ? `<span class="crm-face"><img src="${escape(item.photo_href)}" alt=""></span>` : "";
    const dot = item.color ? ` data-color="${escape(item.color)}"` : "";
    const hint = full && item.hint ? `<small>${escape(item.hint)}</small>` : "";
    return `<div class="${full ? "option" : "item"}"${full ? "" : dot}>${full ? "" : face}${escape(item.title ?? item.text)}${hint}</div>`;
  };
  const made = new TomSelect(select, {
    valueField: "value", labelField: "title", searchField: remote ? [] : ["title", "hint", "text"], sortField: remote ? [{ field: "$order" }] : undefined,
    plugins: many ? { remove_button: { label: "×", title: word("remove") } } : select.required ? {} : { clear_button: { title: word("clear"), html: () => `<div class="clear-button" title="${word("clear")}">×</div>` } },
    create: quick
      ? (input, done) => {
          made.wrapper.classList.add("is-making");
          makeQuickly(quick, input, nearOf(select)).then((option) => {
            made.wrapper.classList.remove("is-making");
            done(option ?? undefined);
            if (!select.isConnected) return;
            // What was typed is not lost when the form over it is left.
            if (!option) made.setTextboxValue(input);
            if (document.activeElement !== made.control_input) made.focus();
            if (option) setTimeout(() => made.close(false), 1);
          });
        }
      : Boolean(select.dataset.create),
    createFilter: quick ? (input) => input.trim() === answered : null,
    createOnBlur: Boolean(select.dataset.create),
    maxOptions: 200,
    hidePlaceholder: true,
    closeAfterSelect: !many,
    preload: remote ? "focus" : false,
    loadThrottle: 160,
    dropdownParent: select.closest("dialog, [popover]") ? null : "body",
    shouldLoad: () => true,
    load: remote
      ? (query, done) => {
          made.clearOptions((option) => made.items.includes(option.value));
          const near = query ? "" : nearOf(select).map((one) => `&near=${encodeURIComponent(one)}`).join("");
          ask(`${remote}${remote.includes("?") ? "&" : "?"}q=${encodeURIComponent(query)}${near}`, { json: true }).then(
            (answer) => {
              const items = answer.json().items ?? answer.json();
              answered = query;
              found = new Set(items.map((item) => String(item.value)));
              done(items);
            },
            () => done(),
          );
        }
      : undefined,
    // What is chosen stays known, but is not offered for words that it does not match.
    score: remote ? () => (item) => (found.has(String(item.value)) ? 1 : 0) : undefined,
    render: {
      option: (item, escape) => draw(item, escape, true),
      item: (item, escape) => draw(item, escape, false),
      option_create: (data, escape) => `<div class="create" role="option" id="${escape(select.id)}-create">${quick ? escape(word("quick", { name: data.input })) : `${escape(select.dataset.create)} «${escape(data.input)}»`}</div>`,
      no_results: () => `<div class="no-results" role="option" aria-disabled="true">${word("nothing_found")}</div>`,
      loading: () => `<div class="no-results" role="option" aria-disabled="true">${word("searching")}</div>`,
    },
  });
  if (label) for (const control of [select, made.control_input]) control.setAttribute("aria-label", label.textContent.trim());
  if (select.getAttribute("aria-describedby")) made.control_input.setAttribute("aria-describedby", select.getAttribute("aria-describedby"));
  if (select.getAttribute("aria-invalid")) made.control_input.setAttribute("aria-invalid", "true");
  // Tom Select takes up the facts that stand in data attributes of the options.
  made.on("item_add", () => made.setTextboxValue(""));
  if (awaited) made.focus();
  if (remote && !select.dataset.create) {
    // Enter takes what was found for what is typed, never what was listed before.
    made.control_input.addEventListener(
      "keydown",
      (event) => {
        const typed = made.inputValue();
        if (event.key !== "Enter" || !typed || typed === answered) return;
        event.preventDefault();
        event.stopImmediatePropagation();
      },
      true,
    );
  }
  if (quick) {
    // What is there comes before what could be made.
    made.hook("after", "refreshOptions", () => {
      const create = made.dropdown_content.querySelector(":scope > .create");
      if (create) made.dropdown_content.append(create);
    });
  }
  if ("linked" in select.dataset) {
    made.on("item_add", (value) => fillLinked(select, value));
    // What is offered first depends on what stands beside it.
    made.on("change", () => linkedPickers(select).forEach((each) => each.tomselect?.wrapper.classList.remove("preloaded")));
  }
});

// Make a record of what is typed; where a name is not enough, its short form opens over what there is. Resolves to the
// option, or to nothing when it was left.
async function makeQuickly(href, text, near) {
  const body = new URLSearchParams([["text", text], ...near.map((one) => ["near", one])]);
  try {
    const answer = await ask(href, { method: "POST", body, headers: { Accept: "text/html, application/json" } });
    return answer.response.ok ? answer.json() : await askForRest(href, answer);
  } catch (error) {
    complain(error);
    return null;
  }
}
function askForRest(href, answer) {
  const close = element("button", { type: "button", class: "btn btn-ghost btn-icon", "aria-label": word("close") }, icon("x"));
  const heading = element("h2", { id: "quick-title" });
  const body = element("div", { class: "crm-dialog-body" });
  const dialog = element("dialog", { class: "crm-dialog", "aria-labelledby": "quick-title" }, element("div", { class: "crm-dialog-head" }, heading, close), body);
  const show = (page) => {
    const main = page.querySelector("main") ?? page.body;
    const told = main.querySelector("h1");
    heading.textContent = told?.textContent.trim() ?? "";
    (told?.closest(".crm-head") ?? told)?.remove();
    body.replaceChildren(...main.childNodes);
    // The form beneath has fields of the same names.
    for (const each of body.querySelectorAll("[id]")) each.id = `q-${each.id}`;
    for (const each of body.querySelectorAll("[for]")) each.htmlFor = `q-${each.htmlFor}`;
    for (const each of body.querySelectorAll("[aria-describedby]")) each.setAttribute("aria-describedby", each.getAttribute("aria-describedby").replace(/\S+/g, "q-$&"));
    for (const each of body.querySelectorAll("a[href^='#']")) each.setAttribute("href", `#q-${each.getAttribute("href").slice(1)}`);
    refresh(body);
    (body.querySelector(".is-invalid, input:not([type=hidden])") ?? close).focus();
  };
  document.body.append(dialog);
  dialog.showModal();
  show(answer.html());
  return new Promise((resolve) => {
    let made = null;
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (!event.target.closest("[data-cancel]")) return;
      event.preventDefault();
      event.stopPropagation();
      dialog.close();
    });
    dialog.addEventListener("submit", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      const form = event.target;
      if (form.dataset.sending) return;
      form.dataset.sending = "1";
      try {
        const sent = await ask(href, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/html, application/json" } });
        if (!sent.response.ok) return show(sent.html());
        made = sent.json();
        dialog.close();
      } catch (error) {
        complain(error);
      } finally {
        delete form.dataset.sending;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(made);
    });
  });
}

// Pickers of one form whose records are linked with one another: a person brings his company, a company its people.
const linkedPickers = (select) => [...(select.form?.querySelectorAll("select[data-linked]") ?? [])].filter((each) => each !== select && each.dataset.options !== select.dataset.options);

function nearOf(select) {
  return linkedPickers(select)
    .filter((each) => each.value)
    .map((each) => `${each.dataset.options}:${each.value}`);
}
async function fillLinked(select, value) {
  const empty = linkedPickers(select).filter((each) => !each.value && each.tomselect);
  if (!empty.length) return;
  try {
    const links = (await ask(`${select.dataset.options}?of=${encodeURIComponent(value)}`, { json: true })).json().links;
    if (select.value !== value) return;
    for (const [options, choice] of Object.entries(links)) {
      const same = empty.filter((each) => each.dataset.options === options);
      if (same.length !== 1 || same[0].value) continue;
      same[0].tomselect.addOption(choice);
      same[0].tomselect.addItem(choice.value);
    }
  } catch {
    // It was only a help: the field stays empty.
  }
}

// --- repeated rows -----------------------------------------------------------------------------------------------------

function renumber(box) {
  const all = [...box.querySelectorAll("[data-entry]")];
  all.forEach((entry, index) => {
    for (const control of entry.querySelectorAll("[name]")) control.name = control.name.replace(/^([^-]+)-\d+-/, `$1-${index}-`);
    for (const control of entry.querySelectorAll("[id]")) {
      const was = control.id;
      control.id = was.replace(/-\d+-(\w+)$/, `-${index}-$1`);
      entry.querySelector(`label[for="${CSS.escape(was)}"]`)?.setAttribute("for", control.id);
    }
  });
}
on("click", "[data-entry-add]", (_event, button) => {
  const box = button.closest("[data-entries]");
  const entry = box.querySelector("template").content.firstElementChild.cloneNode(true);
  box.querySelector(".crm-entries").append(entry);
  renumber(box);
  refresh(entry);
  entry.querySelector("input[type=tel], input[type=email], input[type=text]")?.focus();
});
on("click", "[data-entry-remove]", (_event, button) => {
  const box = button.closest("[data-entries]");
  button.closest("[data-entry]").remove();
  renumber(box);
  box.querySelector("[data-entry-add]")?.focus();
});
on("change", '[data-entry] input[name$="-main"]', (_event, input) => {
  if (!input.checked) return;
  for (const other of input.closest("[data-entries]").querySelectorAll('input[name$="-main"]')) if (other !== input) other.checked = false;
});

// --- small things --------------------------------------------------------------------------------------------------------

on("click", "[data-reveal]", (_event, button) => {
  const input = button.parentElement.querySelector("input");
  const show = input.type === "password";
  input.type = show ? "text" : "password";
  button.setAttribute("aria-pressed", String(show));
  button.replaceChildren(icon(show ? "eye-off" : "eye"));
});
behave(".crm-drop", (zone) => {
  const input = zone.querySelector("input[type=file]");
  const names = zone.querySelector(".crm-drop-names");
  for (const type of ["dragenter", "dragover"]) zone.addEventListener(type, () => zone.classList.add("is-over"));
  for (const type of ["dragleave", "drop"]) zone.addEventListener(type, () => zone.classList.remove("is-over"));
  input.addEventListener("change", () => {
    names.textContent = [...input.files].map((file) => file.name).join(", ");
    if ("instant" in zone.dataset && input.files.length) input.form.requestSubmit();
  });
});
// A phone keypad with commas: numbers are typed as people write them.
on("focusout", "input.is-number", (_event, input) => (input.value = input.value.trim()));

// Probable doubles and the like, told beside the field while one types.
behave("[data-check]", (input) => {
  let timer;
  let asked = "";
  const place = document.getElementById(`${input.id}-remark`) ?? input.closest(".crm-field")?.querySelector("[id$='-remark']");
  if (!place) return;
  const check = async () => {
    const data = new URLSearchParams(new FormData(input.form));
    data.delete("csrf_token");
    data.set("field", input.name);
    if (!input.value.trim() || input.value === asked) return;
    asked = input.value;
    try {
      const answer = await ask(`${input.dataset.check}?${data}`);
      const page = answer.html();
      place.replaceChildren(...(page.querySelector("main") ?? page.body).childNodes);
    } catch {
      place.replaceChildren();
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, 450);
  });
});

// --- drafts: nothing typed is ever lost -------------------------------------------------------------------------------------

const DRAFT = "crm.draft.";
behave("form[data-draft]", (form) => {
  const name = DRAFT + form.dataset.draft;
  const secret = (control) => ["password", "file", "hidden"].includes(control.type) || !control.name;
  let kept;
  try {
    kept = JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return;
  }
  const controls = () => [...form.elements].filter((control) => !secret(control));
  const read = () => controls().map((control) => [control.name, ["checkbox", "radio"].includes(control.type) ? control.checked : control.multiple ? [...control.selectedOptions].map((each) => each.value) : control.value]);
  const first = JSON.stringify(read());
  if (kept && JSON.stringify(kept) !== first && !form.querySelector(".is-invalid")) {
    const line = element("div", { class: "crm-notice is-info", role: "status" }, icon("history"), element("div", { class: "crm-notice-text" }, word("draft_found")));
    const take = element("button", { type: "button", class: "btn btn-sm" }, word("draft_take"));
    const drop = element("button", { type: "button", class: "btn btn-sm btn-ghost" }, word("draft_drop"));
    take.addEventListener("click", () => {
      const all = controls();
      kept.forEach(([key, value], index) => {
        const control = all[index]?.name === key ? all[index] : all.find((each) => each.name === key);
        if (!control) return;
        if (typeof value === "boolean") control.checked = value;
        else if (control.tomselect) control.tomselect.setValue(value);
        else if (!Array.isArray(value)) control.value = value;
      });
      line.remove();
    });
    drop.addEventListener("click", () => {
      localStorage.removeItem(name);
      line.remove();
    });
    line.append(take, drop);
    form.prepend(line);
  }
  let timer;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      try {
        localStorage.setItem(name, JSON.stringify(read()));
      } catch { /* full or forbidden */ }
    }, 300);
  });
  const forget = () => localStorage.removeItem(name);
  // A native submit keeps the draft until the next page has come without this form's errors.
  form.addEventListener("submit", () => sessionStorage.setItem("crm.sent", name));
  form.addEventListener("crm:sent", (event) => event.detail.response.ok && forget());
});
try {
  const sent = sessionStorage.getItem("crm.sent");
  if (sent && !document.querySelector(`form[data-draft="${CSS.escape(sent.slice(DRAFT.length))}"]`)) localStorage.removeItem(sent);
  sessionStorage.removeItem("crm.sent");
} catch { /* storage forbidden */ }

behave(".crm-errors", (box) => box.focus());
export { toast };
