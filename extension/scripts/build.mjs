// Bundles the extension into one minified file and says how large it is.
import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build, context } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * The language client asks whether the editor is new enough for it. The manifest says so already, and an editor that is
 * older does not load the extension; so the parser of versions stays out of the bundle.
 *
 * @type {import("esbuild").Plugin}
 */
const withoutVersions = {
  name: "without-versions",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^semver\// }, ({ path: name }) => ({ path: name, namespace: "without-versions" }));
    onLoad({ filter: /parse$/, namespace: "without-versions" }, () => ({
      contents: "module.exports = (version) => ({ version })",
    }));
    onLoad({ filter: /satisfies$/, namespace: "without-versions" }, () => ({
      contents: "module.exports = () => true",
    }));
  },
};

/** @type {import("esbuild").BuildOptions} */
export const options = {
  absWorkingDir: root,
  entryPoints: ["src/extension.ts"],
  outfile: "dist/extension.js",
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode"],
  plugins: [withoutVersions],
  metafile: true,
  legalComments: "none",
  logLevel: "warning",
};

/** The packages inside a bundle with their licences, which their terms ask to be passed on. */
function notices(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) packages.add(match[1]);
  }
  const parts = [...packages].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
    return `${name} ${version} (${license})\n\n${licenceText(folder)}`;
  });
  return parts.join("\n\n----------------------------------------\n\n") + "\n";
}

function licenceText(folder) {
  for (const name of ["LICENSE", "LICENSE.md", "License.txt", "LICENSE.txt", "license"]) {
    try {
      return readFileSync(path.join(root, folder, name), "utf8").trim();
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`${folder} has no licence file`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--watch")) {
    const watched = await context({ ...options, minify: false, sourcemap: true });
    await watched.watch();
  } else {
    const { metafile } = await build(options);
    writeFileSync(path.join(root, "dist/THIRD-PARTY.txt"), notices(metafile));
    const kilobytes = statSync(path.join(root, options.outfile)).size / 1024;
    process.stdout.write(`dist/extension.js ${kilobytes.toFixed(1)} KB\n`);
  }
}
