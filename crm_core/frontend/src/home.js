// Blocks of the home page are of very different height; each takes as many short rows of the grid as it needs, so that
// no block is stretched to its neighbour's height. Without scripts they stand in plain rows.
import { behave } from "./ui.js";

const ROW = 4, GAP = 16;

behave(".crm-home > .crm-grid", (grid) => {
  grid.classList.add("is-packed");
  const measure = (box) => {
    box.style.gridRowEnd = `span ${Math.ceil((box.offsetHeight + GAP) / ROW)}`;
  };
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => measure(entry.target)));
  for (const box of grid.children) watch.observe(box);
});
