// The pages that a person sees while signing in: small, without scripts, and with names that a test can click on.

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text) => String(text).replace(/[&<>"']/g, (sign) => ESCAPES[sign]);

function page(title, body) {
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:16px/1.5 sans-serif;max-width:34rem;margin:4rem auto}code{display:block;padding:1rem;background:#eee;word-break:break-all}button{font:inherit;padding:.5rem 1.5rem}</style>
</head><body><h1>${escaped(title)}</h1>
${body}
</body></html>
`;
}

function send(response, status, title, body) {
  const text = page(title, body);
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    // A code in the address must not travel on to wherever the page leads.
    "referrer-policy": "no-referrer",
  });
  response.end(text);
}

/** Asks whether to sign in, and as whom. */
export function sendConsent(response, { action, emails, hint, scopes }) {
  const choice = (email) => `<option${email === hint ? " selected" : ""}>${escaped(email)}</option>`;
  send(
    response,
    200,
    "Sign in (test)",
    `<p>Claude Code asks for:</p>
<ul>${scopes.map((scope) => `<li>${escaped(scope)}</li>`).join("")}</ul>
<form method="post" action="${escaped(action)}">
<p><label>Account <select name="email" id="email">${emails.map(choice).join("")}</select></label></p>
<p><button id="sign-in" name="decision" value="yes">Sign in</button> <button id="decline" name="decision" value="no">Decline</button></p>
</form>`,
  );
}

/** Shows a code to be copied. */
export function sendCode(response, code, state) {
  send(response, 200, "Authentication code", `<p>Paste this into Claude Code:</p>\n<code id="code">${escaped(`${code}#${state}`)}</code>`);
}

export function sendWords(response, status, title, words) {
  send(response, status, title, `<p id="words">${escaped(words)}</p>`);
}
