// Sets the theme before the first paint, so that nothing flashes. "light" or
// "dark" overrides the system; the dashboard writes the same key.
try {
  const choice = localStorage.getItem("snowbank.theme");
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
  if (localStorage.getItem("snowbank.rail") === "folded") document.documentElement.dataset.rail = "folded";
  if (localStorage.getItem("snowbank.density") === "compact") document.documentElement.dataset.density = "compact";
} catch {
  // Storage is blocked: the system's theme it is.
}
