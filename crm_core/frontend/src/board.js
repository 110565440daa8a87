// Boards: drag and drop, the same by keys, quick adding, more cards on scrolling, what others change meanwhile.
// Every card keeps a link that moves it, every column a link to the same records as a list.
import { announce, ask, behave, closeDialog, complain, element, isTyping, keyOf, live, on, openDialog, refresh, sortable, toast, wake } from "./ui.js";

const boardOf = (within) => within?.closest?.("[data-board]") ?? document.querySelector("[data-board]");
const columnOf = (within) => within.closest("[data-column]");
const listOf = (board, column) => board.querySelector(`[data-cards-of="${CSS.escape(String(column))}"]`);
const tileOf = (board, id) => board.querySelector(`[data-card="${CSS.escape(String(id))}"]`);
const titleOf = (column) => column.querySelector("h2").textContent.trim();
const linkOf = (tile) => tile.querySelector(".crm-tile-title");

// --- cards that came or changed -------------------------------------------------------------------------------------

// A card stands by its order, the greatest first; what would stand beneath all that is loaded comes when one scrolls.
function put(list, tile) {
  const after = [...list.children].find((each) => each.dataset.card && each.dataset.order < tile.dataset.order);
  if (after) after.before(tile);
  else if (!columnOf(list).querySelector("[data-more]")) list.append(tile);
  else return false;
  return true;
}

async function fetchCards(board, ids, { fresh = true } = {}) {
  const query = new URLSearchParams(ids.map((id) => ["id", id]));
  const joint = board.dataset.cards.includes("?") ? "&" : "?";
  const page = (await ask(`${board.dataset.cards}${joint}${query}`, { headers: { "HX-Toasts": "1" } })).html();
  const came = new Map([...page.querySelectorAll("[data-cards-of] > [data-card]")].map((tile) => [tile.dataset.card, [tile.parentElement.dataset.cardsOf, document.adoptNode(tile)]]));
  const focused = document.activeElement?.closest?.("[data-card]")?.dataset.card;
  for (const id of ids.map(String)) {
    const old = tileOf(board, id);
    const [column, tile] = came.get(id) ?? [];
    const changed = old?.dataset.version !== tile?.dataset.version || old?.closest("[data-column]")?.dataset.column !== column;
    // What is as it was stays in its place, with the focus and the scrolling around it.
    if (old && tile && !changed && old.innerHTML === tile.innerHTML) continue;
    old?.remove();
    if (!tile || !listOf(board, column)) continue;
    put(listOf(board, column), tile);
    if (fresh && changed) tile.classList.add("is-fresh");
    wake(tile);
    if (focused === id) linkOf(tile).focus({ preventScroll: true });
  }
  const toasts = page.querySelectorAll("#new-toasts > *");
  if (toasts.length) {
    document.getElementById("toasts")?.append(...toasts);
    wake(document.getElementById("toasts"));
  }
  askTotals(board);
}

let totalling;
function askTotals(board) {
  if (!board.dataset.totals) return;
  clearTimeout(totalling);
  totalling = setTimeout(async () => {
    try {
      const totals = (await ask(board.dataset.totals, { json: true })).json();
      for (const [number, total] of Object.entries(totals)) {
        const column = board.querySelector(`[data-column="${CSS.escape(number)}"]`);
        if (!column) continue;
        column.querySelector("[data-count-of]").textContent = total.count;
        column.querySelector("[data-sum-of]").textContent = total.sum;
      }
    } catch { /* the next change asks again */ }
  }, 250);
}

// What others change is told by the pulse of the page; several changes are asked for at once.
const waiting = new Set();
let gathering;
function changed(board, ids) {
  for (const id of ids) waiting.add(String(id));
  clearTimeout(gathering);
  gathering = setTimeout(() => {
    const all = [...waiting];
    waiting.clear();
    if (board.isConnected && all.length) fetchCards(board, all).catch(() => {});
  }, 200);
}

// Records that went out of sight are not told of: what is shown is looked over now and then.
const LOOK_OVER = 45000;
function lookOver(board) {
  if (!board.isConnected) return;
  const ids = [...board.querySelectorAll("[data-card]")].slice(0, 150).map((tile) => tile.dataset.card);
  if (document.visibilityState === "visible" && ids.length && !board.classList.contains("is-dragging") && !document.querySelector("dialog[open]")) fetchCards(board, ids).catch(() => {});
  setTimeout(() => lookOver(board), LOOK_OVER);
}

const heard = new Set();
behave("[data-board]", (board) => {
  const kind = board.dataset.board;
  if (!heard.has(kind)) {
    heard.add(kind);
    live(kind, (change) => {
      const present = document.querySelector(`[data-board="${CSS.escape(kind)}"]`);
      if (present) changed(present, [change.id]);
    });
  }
  setTimeout(() => lookOver(board), LOOK_OVER);
});
document.addEventListener("crm:board", (event) => {
  const board = boardOf();
  if (board) changed(board, event.detail.ids);
});

// --- moving ---------------------------------------------------------------------------------------------------------

async function move(tile, number) {
  const board = boardOf(tile);
  const id = tile.dataset.card;
  const column = board.querySelector(`[data-column="${CSS.escape(String(number))}"]`);
  tile.classList.add("is-waiting");
  try {
    const body = new URLSearchParams({ id, column: number, version: tile.dataset.version });
    const told = (await ask(board.dataset.moving, { method: "POST", body, json: true })).json();
    if (told.ask) return await openAsking(board, id, told.ask);
    if (told.toast) toast(told.toast.text, told.toast);
    if (told.moved) announce(`${board.dataset.wordMoved} ${titleOf(column)}`);
  } catch (error) {
    complain(error);
  } finally {
    tile.classList.remove("is-waiting");
  }
  await fetchCards(board, [id], { fresh: false }).catch(complain);
  const moved = tileOf(board, id);
  if (moved) linkOf(moved).focus({ preventScroll: false });
}

// The stage asks for something: the card waits where it was until it is said.
async function openAsking(board, id, href) {
  await fetchCards(board, [id], { fresh: false });
  const dialog = await openDialog(href);
  if (dialog) dialog.dataset.ofCard = id;
}
document.addEventListener("close", (event) => {
  if (event.target.dataset) delete event.target.dataset.ofCard;
}, true);

// Its form is sent from here, so that the board stays as it is scrolled; this module listens before the shell does.
on("submit", "dialog[data-of-card] form, [data-quick] form", async (event, form) => {
  if (form.method !== "post") return;
  event.preventDefault();
  const dialog = form.closest("dialog");
  const place = form.closest("[data-quick]");
  const board = boardOf(place);
  const id = dialog?.dataset.ofCard;
  const buttons = [...form.querySelectorAll('button:not([type="button"])')];
  buttons.forEach((button) => button.setAttribute("aria-busy", "true"));
  try {
    const answer = await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)) });
    if (answer.text.trim()) {
      const fresh = answer.html().querySelector("main form");
      form.replaceWith(fresh);
      refresh(fresh);
      (fresh.querySelector(".is-invalid") ?? fresh.querySelector("input:not([type=hidden])"))?.focus();
    } else if (dialog) {
      closeDialog(dialog);
      await fetchCards(board, [id]);
    } else closeQuick(place);
  } catch (error) {
    complain(error);
  } finally {
    buttons.forEach((button) => button.removeAttribute("aria-busy"));
  }
});

behave("[data-cards-of]", async (list) => {
  const board = boardOf(list);
  if (!board || !list.closest("[data-board]")) return;
  await sortable(list, {
    group: "board",
    draggable: "[data-card]",
    filter: "[data-fixed], .crm-more",
    preventOnFilter: false,
    sort: false,
    forceFallback: true,
    fallbackOnBody: true,
    fallbackTolerance: 5,
    delay: 220,
    delayOnTouchOnly: true,
    touchStartThreshold: 6,
    scroll: true,
    bubbleScroll: true,
    scrollSensitivity: 80,
    scrollSpeed: 16,
    emptyInsertThreshold: 24,
    onStart: () => board.classList.add("is-dragging"),
    onEnd: (event) => {
      board.classList.remove("is-dragging");
      // A click on the link follows the drop in some browsers.
      const stop = (click) => click.preventDefault();
      event.item.addEventListener("click", stop, { capture: true, once: true });
      setTimeout(() => event.item.removeEventListener("click", stop, { capture: true }), 60);
      if (event.to !== event.from) move(event.item, columnOf(event.to).dataset.column);
    },
  });
});

// --- keys -----------------------------------------------------------------------------------------------------------

const shown = (column) => [...column.querySelectorAll("[data-card]")].filter((tile) => tile.offsetParent);
const columnsOf = (board) => [...board.querySelectorAll("[data-column]:not(.is-folded)")];

function step(board, tile, pressed) {
  if (!tile) {
    const first = board.querySelector("[data-column]:not(.is-folded) [data-card]");
    first && linkOf(first).focus();
    return Boolean(first);
  }
  const column = columnOf(tile);
  const cards = shown(column);
  const at = cards.indexOf(tile);
  let next;
  if (pressed === "ArrowDown") next = cards[at + 1];
  if (pressed === "ArrowUp") next = cards[at - 1];
  if (pressed === "ArrowLeft" || pressed === "ArrowRight") {
    const columns = columnsOf(board);
    const by = pressed === "ArrowRight" ? 1 : -1;
    for (let place = columns.indexOf(column) + by; columns[place] && !next; place += by) {
      const there = shown(columns[place]);
      next = there[Math.min(at, there.length - 1)];
    }
  }
  if (!next) return false;
  linkOf(next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
  return true;
}

function openMenu(tile) {
  document.getElementById("board-menu")?.remove();
  const board = boardOf(tile);
  const menu = element("div", { class: "crm-menu", id: "board-menu", popover: "auto", role: "menu" }, element("div", { class: "crm-menu-title" }, board.dataset.wordMove));
  const present = columnOf(tile).dataset.column;
  [...board.querySelectorAll("[data-column]")].forEach((column, place) => {
    const here = column.dataset.column === present;
    const item = element("button", { type: "button", class: "crm-menu-item", role: "menuitem", "aria-current": here ? "true" : null, "aria-disabled": here ? "true" : null }, element("span", {}, titleOf(column)), place < 9 && element("kbd", {}, String(place + 1)));
    item.addEventListener("click", () => {
      if (here) return;
      menu.hidePopover();
      move(tile, column.dataset.column);
    });
    menu.append(item);
  });
  menu.addEventListener("keydown", (event) => {
    const item = /^[1-9]$/.test(event.key) && menu.querySelectorAll("button")[event.key - 1];
    if (!item) return;
    event.preventDefault();
    item.click();
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    if (menu.contains(document.activeElement) || document.activeElement === document.body) linkOf(tile)?.focus({ preventScroll: true });
    setTimeout(() => menu.remove(), 0);
  });
  document.body.append(menu);
  menu.showPopover();
  const at = tile.getBoundingClientRect();
  const box = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(at.left + 12, innerWidth - box.width - 8))}px`;
  menu.style.top = `${Math.max(8, Math.min(at.top + 28, innerHeight - box.height - 8))}px`;
  (menu.querySelector('button:not([aria-disabled="true"])') ?? menu).focus();
}

on("click", "[data-move-card]", (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openMenu(link.closest("[data-card]"));
});
document.addEventListener("keydown", (event) => {
  const board = document.querySelector("[data-board]");
  if (!board || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open], [popover]:popover-open:not(#toasts)")) return;
  const tile = document.activeElement?.closest?.("[data-card]");
  if (!tile && document.activeElement !== document.body && document.activeElement?.id !== "main") return;
  const pressed = { j: "ArrowDown", k: "ArrowUp", h: "ArrowLeft", l: "ArrowRight" }[keyOf(event)] ?? keyOf(event);
  if (pressed.startsWith("Arrow")) {
    if (step(board, tile, pressed)) event.preventDefault();
  } else if (pressed === "m" && tile && !("fixed" in tile.dataset)) {
    event.preventDefault();
    openMenu(tile);
  }
}, true);

// --- quick adding, folding, more ------------------------------------------------------------------------------------

function closeQuick(place) {
  place.hidden = true;
  place.replaceChildren();
  columnOf(place).querySelector("[data-quick-add]")?.focus();
}
on("click", "[data-quick-add]", async (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const place = columnOf(link).querySelector("[data-quick]");
  if (!place.hidden) return closeQuick(place);
  try {
    const form = (await ask(link.href)).html().querySelector("main form");
    for (const other of document.querySelectorAll("[data-quick]:not([hidden])")) closeQuick(other);
    place.replaceChildren(document.adoptNode(form));
    place.hidden = false;
    refresh(place);
    (place.querySelector("[autofocus]") ?? place.querySelector("input:not([type=hidden])"))?.focus();
  } catch (error) {
    complain(error);
  }
});
on("click", "[data-quick] a[data-cancel]", (event, link) => {
  event.preventDefault();
  closeQuick(link.closest("[data-quick]"));
});
on("keydown", "[data-quick]", (event, place) => {
  if (event.key === "Escape" && !event.defaultPrevented && !place.querySelector(".ts-wrapper.dropdown-active")) closeQuick(place);
});

on("click", "[data-fold-column]", (_event, button) => {
  const column = columnOf(button);
  const folded = column.classList.toggle("is-folded");
  button.setAttribute("aria-expanded", String(!folded));
  const board = boardOf(column);
  if (board.dataset.folding) ask(board.dataset.folding, { method: "POST", body: new URLSearchParams({ column: column.dataset.column, folded: folded ? "1" : "0" }) }).catch(complain);
});

async function more(link) {
  if (link.dataset.asked) return;
  link.dataset.asked = "1";
  const column = columnOf(link);
  try {
    const page = (await ask(link.dataset.more)).html();
    const list = column.querySelector("[data-cards-of]");
    const next = page.querySelector("[data-more]");
    for (const tile of page.querySelectorAll("[data-card]")) {
      if (tileOf(boardOf(column), tile.dataset.card)) continue;
      list.append(document.adoptNode(tile));
    }
    link.remove();
    if (next) {
      list.after(document.adoptNode(next));
      next.href = link.href;
      wake(column);
    }
  } catch (error) {
    delete link.dataset.asked;
    complain(error);
  }
}
on("click", "[data-more]", (event, link) => {
  if (!link.closest("[data-board]") || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  more(link);
});
// The link stands under the cards, outside of what scrolls: it is asked for when the end of them comes near.
behave("[data-board] [data-cards-of]", (list) => {
  const near = () => {
    const link = columnOf(list).querySelector("[data-more]");
    if (link && list.scrollTop + list.clientHeight > list.scrollHeight - 600 && (list.scrollTop > 0 || (list.clientHeight && list.scrollHeight <= list.clientHeight))) more(link);
  };
  requestAnimationFrame(near);
  list.addEventListener("scroll", near, { passive: true });
});

// On a phone the columns are swept aside, and their names above lead to them.
behave(".crm-board-stages", (bar) => {
  const board = bar.parentElement.querySelector("[data-board]");
  const links = new Map([...bar.querySelectorAll("[data-to-column]")].map((link) => [link.dataset.toColumn, link]));
  bar.addEventListener("click", (event) => {
    const link = event.target.closest("[data-to-column]");
    if (!link) return;
    event.preventDefault();
    document.getElementById(`column-${link.dataset.toColumn}`)?.scrollIntoView({ inline: "start", block: "nearest", behavior: "smooth" });
  });
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) links.get(entry.target.dataset.column)?.classList.toggle("is-here", entry.isIntersecting);
    bar.querySelector(".is-here")?.scrollIntoView({ inline: "nearest", block: "nearest" });
  }, { root: board, threshold: 0.7 });
  for (const column of board.querySelectorAll("[data-column]")) watch.observe(column);
});

