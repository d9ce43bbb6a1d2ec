//! A folder that the browser lets a page open again: chosen by its own dialog, remembered in its
//! database, so that an upload goes on without being chosen anew. Where a browser has none of that,
//! the form's fields do.

use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

use super::given::{Given, MOST_FILES};

/// The database and the table in it.
const DATABASE: &str = "snowbank";
const FOLDERS: &str = "folders";
/// Folders within folders that are looked into.
const DEEPEST: usize = 8;

/// A folder, by the browser's handle of it.
#[derive(Debug, Clone)]
pub struct Folder(JsValue);

fn field(of: &JsValue, name: &str) -> Result<JsValue, JsValue> {
    Reflect::get(of, &name.into())
}

fn call(of: &JsValue, name: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let function: Function = field(of, name)?.dyn_into()?;
    function.apply(of, &arguments.iter().collect::<Array>())
}

async fn awaited(promise: JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::resolve(&promise)).await
}

/// Whether this browser has a dialog for folders that it opens again.
pub fn can_choose() -> bool {
    field(&window(), "showDirectoryPicker").is_ok_and(|dialog| dialog.is_function())
}

/// Asks for a folder; nothing where nobody chose one.
pub async fn choose() -> Option<Folder> {
    let chosen = call(&window(), "showDirectoryPicker", &[]).ok()?;
    awaited(chosen).await.ok().map(Folder)
}

impl Folder {
    /// Its name.
    pub fn name(&self) -> String {
        let name = field(&self.0, "name").ok();
        name.and_then(|name| name.as_string()).unwrap_or_default()
    }

    /// Asks whoever sits there whether it may be read, where the browser wants that.
    pub async fn may_be_read(&self) -> bool {
        let wish = Object::new();
        let _ = Reflect::set(&wish, &"mode".into(), &"read".into());
        match call(&self.0, "requestPermission", &[wish.into()]) {
            Ok(answer) => awaited(answer)
                .await
                .is_ok_and(|answer| answer.as_string().as_deref() == Some("granted")),
            // It asks for none.
            Err(_) => true,
        }
    }

    /// The files in it, at most one more than an upload takes; nothing where it cannot be read.
    pub async fn files(&self) -> Option<Vec<(Given, File)>> {
        let mut files = Vec::new();
        let mut open = vec![(self.name(), self.0.clone(), 0)];
        while let Some((path, folder, depth)) = open.pop() {
            let entries = call(&folder, "values", &[]).ok()?;
            loop {
                let step = awaited(call(&entries, "next", &[]).ok()?).await.ok()?;
                if field(&step, "done").ok()?.is_truthy() {
                    break;
                }
                let entry = field(&step, "value").ok()?;
                let name = field(&entry, "name").ok()?.as_string()?;
                let path = format!("{path}/{name}");
                if field(&entry, "kind").ok()?.as_string().as_deref() == Some("directory") {
                    if depth < DEEPEST {
                        open.push((path, entry, depth + 1));
                    }
                    continue;
                }
                let file = awaited(call(&entry, "getFile", &[]).ok()?).await.ok()?;
                let file: File = file.dyn_into().ok()?;
                let given = Given {
                    path,
                    size: file.size() as u64,
                };
                files.push((given, file));
                if files.len() > MOST_FILES {
                    return Some(files);
                }
            }
        }
        Some(files)
    }
}

/// Waits for a request to the database.
async fn answered(request: &JsValue) -> Result<JsValue, JsValue> {
    let ended = Promise::new(&mut |resolve: Function, reject: Function| {
        let _ = Reflect::set(request, &"onsuccess".into(), &resolve);
        let _ = Reflect::set(request, &"onerror".into(), &reject);
    });
    JsFuture::from(ended).await?;
    field(request, "result")
}

/// The table, open for one request right away.
async fn table(mode: &str) -> Result<JsValue, JsValue> {
    let databases = field(&window(), "indexedDB")?;
    let request = call(&databases, "open", &[DATABASE.into(), 1.into()])?;
    let opened = request.clone();
    let made = Closure::<dyn Fn(JsValue)>::new(move |_| {
        if let Ok(database) = field(&opened, "result") {
            let _ = call(&database, "createObjectStore", &[FOLDERS.into()]);
        }
    });
    Reflect::set(&request, &"onupgradeneeded".into(), made.as_ref())?;
    let database = answered(&request).await?;
    let transaction = call(&database, "transaction", &[FOLDERS.into(), mode.into()])?;
    call(&transaction, "objectStore", &[FOLDERS.into()])
}

async fn request(mode: &str, verb: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let table = table(mode).await?;
    answered(&call(&table, verb, arguments)?).await
}

/// Remembers the folder of the upload to a cache. A browser that does not let it only forgets it.
pub async fn remember(cache: &str, folder: &Folder) {
    let _ = request("readwrite", "put", &[folder.0.clone(), cache.into()]).await;
}

/// The folder of the upload to a cache.
pub async fn recall(cache: &str) -> Option<Folder> {
    let found = request("readonly", "get", &[cache.into()]).await.ok()?;
    found.is_object().then(|| Folder(found))
}

/// Forgets it.
pub async fn forget(cache: &str) {
    let _ = request("readwrite", "delete", &[cache.into()]).await;
}
