// Has Node read JSON that a package imports in a way that only bundlers understand.
import { register } from "node:module";

const hooks = `export const load = (url, context, next) =>
  next(url, url.endsWith(".json") ? { ...context, importAttributes: { type: "json" } } : context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
