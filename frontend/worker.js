// The dashboard's program once more, beside the page: it unpacks and hashes what is to be
// uploaded, so that the page stays quick and a tab in the background goes on. The program sees
// that it has no window, and waits for work (frontend/src/upload/worker.rs).
import start from "./{{app_js}}";

await start({ module_or_path: new URL("./{{app_wasm}}", import.meta.url) });
