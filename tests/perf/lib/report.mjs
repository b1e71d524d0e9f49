// The figures as a person reads them.

const dash = "–";

export function table(heads, rows) {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  return [line(heads), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

export function comparison(rows) {
  const heads = ["what", "ours (p90)", "theirs (p90)", "ratio", "aim", "met?"];
  return table(heads, rows.map((row) => [row.what, amount(row.ours, row.unit), theirs(row), ratio(row.ratio), aim(row), met(row)]));
}

/** What is to be said of rows beside their figures. */
export function noteList(rows) {
  return rows.filter(({ note }) => note).map(({ what, note }) => `- ${what}: ${note}`).join("\n");
}

function amount({ median, p90, samples }, unit) {
  const value = `${figure(median)} ${unit}`;
  return samples.length > 1 ? `${value} (${figure(p90)})` : value;
}

function theirs(row) {
  return row.theirs ? `${amount(row.theirs, row.unit)} ${row.rival}` : dash;
}

function ratio(value) {
  if (value === undefined) return dash;
  return value < 0.5 ? `1/${figure(1 / value)}` : value.toFixed(2);
}

function aim(row) {
  if (row.aim === undefined) return dash;
  return row.theirs ? `≤ ${ratio(row.aim)}` : `≤ ${figure(row.aim)} ${row.unit}`;
}

function met({ isMet }) {
  if (isMet === undefined) return dash;
  return isMet ? "yes" : "no";
}

/** Three digits are more than such a measurement is worth; two would hide small changes. */
export function figure(value) {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Steps of an operation with their share of it. */
export function stepTable(steps) {
  const whole = steps.reduce((sum, { median }) => sum + median, 0);
  const rows = steps.map(({ step, median }) => [step, `${figure(median)} ms`, `${((100 * median) / whole).toFixed(0)} %`]);
  return table(["step", "median", "share"], rows);
}

export function operationTable(operations) {
  const rows = operations.map(({ kind, ok, failed, medianMs, p95Ms, maxMs }) => [kind, ...[ok, failed].map(String), ...[medianMs, p95Ms, maxMs].map((ms) => `${ms} ms`)]);
  return table(["operation", "ok", "failed", "median", "p95", "most"], rows);
}
