// Starts the dashboard: loads the program named by this script's own tag, and
// where that fails says so and shows what index.html has in <noscript>. It is a
// file of its own because the content security policy allows no inline script.
const self = document.querySelector("script[data-wasm]");

function explain(error) {
  const place = document.getElementById("boot");
  if (!place) return;
  const stored = document.querySelector("main noscript");
  if (stored) {
    const parsed = new DOMParser().parseFromString(stored.textContent, "text/html");
    const heading = parsed.querySelector("h1");
    if (heading) heading.textContent = "The dashboard did not start";
    place.replaceChildren(...parsed.body.childNodes);
  }
  const reason = document.createElement("p");
  reason.textContent = "What the browser said: " + error;
  place.append(reason);
  place.hidden = false;
  document.querySelector(".boot-skeleton")?.remove();
}

try {
  if (typeof WebAssembly !== "object") throw new Error("WebAssembly is switched off");
  const program = await import(new URL(self.dataset.js, location.href));
  await program.default({ module_or_path: new URL(self.dataset.wasm, location.href) });
} catch (error) {
  explain(error);
}
