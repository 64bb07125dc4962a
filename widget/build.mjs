/** Builds what the channel serves: `node build.mjs` writes it, `node build.mjs --check` fails when what is there differs. */

import { build, transform } from "esbuild";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const TARGET = join(HERE, "../addons/channels/web/static");
/** KiB, gzipped. */
const BUDGETS = { "widget.js": 5, "panel.js": 40 };
const BROWSERS = ["chrome111", "firefox114", "safari16.4"];

/** Style sheets as minified text, to be adopted by script. */
const styleSheets = {
  name: "style sheets",
  setup(builder) {
    builder.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true, target: BROWSERS });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

async function bundle(entry, format) {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, "source", entry)],
    absWorkingDir: HERE,
    bundle: true,
    minify: true,
    format,
    target: BROWSERS,
    write: false,
    legalComments: "none",
    charset: "utf8",
    plugins: [styleSheets],
    banner: { js: "/* Apache-2.0. Includes lit (BSD-3-Clause) and socket.io-client (MIT) where it is the panel; see widget/THIRD_PARTY.txt. */" },
  });
  return outputFiles[0].text;
}

async function contents() {
  const files = new Map([
    ["widget.js", await bundle("loader.ts", "iife")],
    ["panel.js", await bundle("frame.ts", "esm")],
    ["panel.html", await readFile(join(HERE, "source/panel.html"), "utf8")],
    ["panel.css", (await transform(await readFile(join(HERE, "source/page.css"), "utf8"), { loader: "css", minify: true })).code],
  ]);
  for (const name of (await readdir(join(HERE, "locales"))).sort()) {
    if (name === "en.json") continue;
    const words = JSON.parse(await readFile(join(HERE, "locales", name), "utf8"));
    files.set(`locales/${name.replace(".json", ".js")}`, `export default ${JSON.stringify(words)};\n`);
  }
  return files;
}

const checks = process.argv.includes("--check");
const stale = [];
for (const [name, text] of await contents()) {
  const path = join(TARGET, name);
  if (checks) {
    if ((await readFile(path, "utf8").catch(() => null)) !== text) stale.push(relative(join(HERE, ".."), path));
  } else {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const size = gzipSync(text, { level: 9 }).length / 1024;
  const budget = BUDGETS[name];
  console.log(`${name}: ${size.toFixed(1)} KiB gzipped${budget ? ` of ${budget}` : ""}`);
  if (budget && size > budget) {
    console.error(`${name} is larger than its ${budget} KiB: take something out, or fetch it later.`);
    process.exitCode = 1;
  }
}
if (stale.length > 0) {
  console.error(`Not what widget/ builds: ${stale.join(", ")}. Run \`make widget\` and commit what it writes.`);
  process.exitCode = 1;
}
