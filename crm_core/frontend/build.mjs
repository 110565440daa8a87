// Bundles the shell into ../static/dist: scripts, styles, the sprite of icons. Called by `python -m crm_core.assets build`.
import * as esbuild from "esbuild";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../static/dist"));

const walk = (folder) =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });

// Only the icons that are named: in icons.txt, which third parties may count on, and in our own templates and specs.
function sprite() {
  const names = new Set(
    readFileSync(join(here, "icons.txt"), "utf8").split("\n").map((line) => line.trim()).filter((line) => line && !line.startsWith("#")),
  );
  const listed = new Set(names);
  for (const name of (process.env.CRM_ICONS ?? "").split(" ")) if (name) names.add(name);
  const missing = [];
  const symbols = [];
  for (const name of [...names].sort()) {
    const [base, style] = name.endsWith("-filled") ? [name.slice(0, -7), "filled"] : [name, "outline"];
    const path = join(here, "node_modules/@tabler/icons/icons", style, base + ".svg");
    if (!existsSync(path)) {
      if (listed.has(name)) missing.push(name);
      names.delete(name);
      continue;
    }
    const inner = readFileSync(path, "utf8")
      .replace(/<!--[\s\S]*?-->/g, "").replace(/^[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>\s*$/, "")
      .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*\/>/, "").replace(/\s*\n\s*/g, "");
    const paint = style === "filled"
      ? 'fill="currentColor"'
      : 'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"';
    symbols.push(`<symbol id="${name}" viewBox="0 0 24 24" ${paint}>${inner}</symbol>`);
  }
  if (missing.length) throw new Error("icons.txt names icons that Tabler does not have: " + missing.join(", "));
  writeFileSync(join(out, "icons.svg"), `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`);
  writeFileSync(join(out, "icons.json"), JSON.stringify([...names].sort()));
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const shared = { bundle: true, minify: true, legalComments: "none", logLevel: "warning", target: ["chrome123", "firefox121", "safari17.5"] };
await esbuild.build({
  ...shared,
  entryPoints: { crm: join(here, "src/crm.js"), ui: join(here, "src/ui.js") },
  outdir: out, format: "esm", splitting: true, chunkNames: "chunks/[name]-[hash]",
});
await esbuild.build({ ...shared, entryPoints: { boot: join(here, "src/boot.js") }, outdir: out, format: "iife" });
await esbuild.build({
  ...shared,
  entryPoints: { crm: join(here, "src/crm.css"), calendar: join(here, "src/calendar.css") },
  outdir: out, loader: { ".svg": "dataurl", ".woff2": "file" },
});
sprite();
for (const path of walk(out)) {
  const bytes = readFileSync(path);
  if (bytes.length > 1400) writeFileSync(path + ".gz", gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }));
}
const files = Object.fromEntries(
  walk(out).filter((path) => !path.endsWith(".gz")).map((path) => [path.slice(out.length + 1), createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 12)]),
);
writeFileSync(join(out, "manifest.json"), JSON.stringify(files, null, 1) + "\n");
