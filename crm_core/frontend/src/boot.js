// Runs before the first paint: light or dark, and whether the menu is narrow. Everything else waits for crm.js.
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => {
  const mode = root.dataset.mode || "auto";
  root.dataset.bsTheme = mode === "dark" || (mode === "auto" && dark.matches) ? "dark" : "light";
};
paint();
dark.addEventListener("change", paint);
document.addEventListener("crm:mode", paint);
try {
  if (localStorage.getItem("crm.side") === "narrow") root.dataset.side = "narrow";
} catch {
  // Storage may be forbidden; the menu is then wide.
}
