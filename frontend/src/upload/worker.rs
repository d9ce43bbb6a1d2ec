//! Both ends of the worker: the same program, started once more without a window.
//!
//! The page posts `[codec, most, file]`, or `["export", 0, file]` for a file of `nix-store --export`;
//! the worker answers with numbers, so many bytes read, and at the end with JSON text: `{"Ok": …}`
//! or `{"Err": "why"}`. It takes one file at a time.
//!
//! Decoders pull, and a worker that only pulls never comes back to the browser, which then frees
//! none of the slices it has read: the memory of a large archive piled up. So slices are awaited a
//! little ahead of what a decoder can want at once ([`Slices::ready`]); a decoder that wants more
//! still gets it, at the price of that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Promise, Uint8Array};
use leptos::prelude::document;
use serde::Serialize;
use serde::de::DeserializeOwned;
use snowbank_shared::contents::FileEntry;
use snowbank_shared::narinfo::Compression;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, DedicatedWorkerGlobalScope, FileReaderSync, HtmlElement, MessageEvent, Worker,
    WorkerOptions, WorkerType,
};

use super::examine::{self, Claim, Examined};
use super::export::{self, Exported};

/// Bytes read from a file at once.
const SLICE: u64 = 2 << 20;
/// Bytes that lie ready before a decoder is asked for more: the largest block of any of them.
const AHEAD: u64 = 1 << 20;
/// The word for files of `nix-store --export`, where else a codec stands.
const EXPORT: &str = "export";
/// Before a codec: the files of the archive are asked for.
const CONTENTS: &str = "contents ";
/// Before a path's hash part, its content address and a codec: the content is held against that.
const CLAIMED: &str = "claimed ";
/// Milliseconds between two words about how far it is.
const EVERY: f64 = 250.0;

/// A function that the browser calls, kept as long as it may.
type Kept<T> = RefCell<Option<Closure<dyn Fn(T)>>>;

/// A worker, as the page has it. Dropping it ends it, whatever it is at.
pub struct Bench {
    worker: Worker,
    /// What happens with its next words.
    heard: Kept<MessageEvent>,
    failed: Kept<JsValue>,
}

impl Bench {
    /// Starts one and waits until it is there.
    ///
    /// # Errors
    /// Where the browser starts none.
    pub async fn start() -> Result<Self, String> {
        let script = document()
            .query_selector("script[data-worker]")
            .ok()
            .flatten()
            .and_then(|script| script.dyn_into::<HtmlElement>().ok())
            .and_then(|script| script.get_attribute("data-worker"))
            .ok_or("the page names no worker")?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(&script, &options)
            .map_err(|_| "this browser starts no worker")?;
        let bench = Self {
            worker,
            heard: RefCell::default(),
            failed: RefCell::default(),
        };
        bench.answer(None, |_| ()).await?;
        Ok(bench)
    }

    /// Examines one archive, and holds its content against a claim. `told` hears how much of it was read.
    ///
    /// # Errors
    /// In words, where it is no archive; or `None` where the worker itself failed.
    pub async fn examine(
        &self,
        file: &Blob,
        codec: Option<Compression>,
        most: u64,
        claim: Option<Claim>,
        told: impl Fn(u64) + 'static,
    ) -> Result<Examined, Option<String>> {
        let codec = codec.map(Compression::name).unwrap_or_default();
        let kind = match claim {
            Some((ca, own)) => format!("{CLAIMED}{own} {ca} {codec}"),
            None => codec.to_owned(),
        };
        self.job(&kind, most, file, told).await
    }

    /// Lists the files of one archive, with their hashes.
    ///
    /// # Errors
    /// As [`Self::examine`].
    pub async fn contents_of(
        &self,
        file: &Blob,
        codec: Option<Compression>,
        most: u64,
    ) -> Result<Vec<FileEntry>, Option<String>> {
        let codec = codec.map(Compression::name).unwrap_or_default();
        let kind = format!("{CONTENTS}{codec}");
        self.job(&kind, most, file, |_| ()).await
    }

    /// Cuts a file of `nix-store --export` into its paths.
    ///
    /// # Errors
    /// As [`Self::examine`].
    pub async fn paths_of(
        &self,
        file: &Blob,
        told: impl Fn(u64) + 'static,
    ) -> Result<Vec<Exported>, Option<String>> {
        self.job(EXPORT, 0, file, told).await
    }

    async fn job<T: DeserializeOwned>(
        &self,
        kind: &str,
        most: u64,
        file: &Blob,
        told: impl Fn(u64) + 'static,
    ) -> Result<T, Option<String>> {
        let job = Array::of3(&kind.into(), &(most as f64).into(), file);
        let answer = self.answer(Some(&job), told).await.map_err(|_| None)?;
        serde_json::from_str::<Result<T, String>>(&answer)
            .map_err(|_| None)?
            .map_err(Some)
    }

    /// The next text that the worker says, to this message or by itself.
    async fn answer(
        &self,
        message: Option<&JsValue>,
        told: impl Fn(u64) + 'static,
    ) -> Result<String, String> {
        let told = Rc::new(told);
        let promise = Promise::new(&mut |resolve: Function, reject: Function| {
            let told = Rc::clone(&told);
            let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
                let data = event.data();
                match data.as_f64() {
                    Some(read) => told(read as u64),
                    None => {
                        let _ = resolve.call1(&JsValue::NULL, &data);
                    }
                }
            });
            let failed = Closure::<dyn Fn(JsValue)>::new(move |_| {
                let _ = reject.call0(&JsValue::NULL);
            });
            self.worker
                .set_onmessage(Some(heard.as_ref().unchecked_ref()));
            self.worker
                .set_onerror(Some(failed.as_ref().unchecked_ref()));
            self.heard.replace(Some(heard));
            self.failed.replace(Some(failed));
        });
        if let Some(message) = message {
            self.worker
                .post_message(message)
                .map_err(|_| "the file cannot be given to the worker")?;
        }
        let answer = JsFuture::from(promise)
            .await
            .map_err(|_| "the worker failed")?;
        answer
            .as_string()
            .ok_or_else(|| "the worker said nothing".to_owned())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Waits for work: what the program does where it has no window.
pub fn serve() {
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else {
        return;
    };
    let told = scope.clone();
    let heard = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
        let told = told.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let outcome = work(&told, &event.data()).await;
            let _ = told.post_message(&outcome.into());
        });
    });
    scope.set_onmessage(Some(heard.as_ref().unchecked_ref()));
    heard.forget();
    let _ = scope.post_message(&"ready".into());
}

/// Does a job: the JSON of its outcome.
async fn work(scope: &DedicatedWorkerGlobalScope, job: &JsValue) -> String {
    let (kind, most, file) = match taken(job) {
        Ok(job) => job,
        Err(why) => return text::<()>(&Err(why)),
    };
    let mut last = js_sys::Date::now();
    let told = |read: u64| {
        let now = js_sys::Date::now();
        if now - last >= EVERY {
            last = now;
            let _ = scope.post_message(&(read as f64).into());
        }
    };
    let ready = async || file.ready().await;
    if kind == EXPORT {
        return text(&export::read(file.clone(), told, ready).await);
    }
    if let Some(codec) = kind.strip_prefix(CONTENTS) {
        let codec = Compression::from_name(codec);
        return text(&examine::contents(file.clone(), codec, most, told, ready).await);
    }
    let (claim, codec) = claimed(&kind);
    let codec = Compression::from_name(codec);
    text(&examine::examine(file.clone(), codec, most, claim, told, ready).await)
}

/// The claim and the codec of a job.
fn claimed(kind: &str) -> (Option<Claim>, &str) {
    let Some(words) = kind.strip_prefix(CLAIMED) else {
        return (None, kind);
    };
    let mut words = words.splitn(3, ' ');
    let mut next = || words.next().unwrap_or_default();
    let (own, ca, codec) = (next(), next(), next());
    let claim = ca.parse().ok().zip(own.parse().ok());
    (claim, codec)
}

fn text<T: Serialize>(outcome: &Result<T, String>) -> String {
    serde_json::to_string(outcome).unwrap_or_default()
}

/// The parts of a message.
fn taken(job: &JsValue) -> Result<(String, u64, Slices), String> {
    let job: &Array = job.dyn_ref().ok_or("a message that is no job")?;
    let codec = job.get(0).as_string().unwrap_or_default();
    let most = job.get(1).as_f64().unwrap_or_default() as u64;
    let file: Blob = job.get(2).dyn_into().map_err(|_| "a job without a file")?;
    let reader = FileReaderSync::new().map_err(|_| "this browser reads no files in a worker")?;
    let size = file.size() as u64;
    let slices = Slices(Rc::new(RefCell::new(Reading {
        file,
        reader,
        size,
        at: 0,
        waiting: VecDeque::new(),
        ready: 0,
        taken: 0,
    })));
    Ok((codec, most, slices))
}

/// A file, read slice by slice. A clone reads on where the other stopped.
#[derive(Clone)]
struct Slices(Rc<RefCell<Reading>>);

struct Reading {
    file: Blob,
    reader: FileReaderSync,
    size: u64,
    /// Where the next slice begins.
    at: u64,
    /// Slices that nobody has read.
    waiting: VecDeque<Vec<u8>>,
    /// Bytes in them.
    ready: u64,
    /// Bytes of the first that were read.
    taken: usize,
}

const CHANGED: &str = "the file cannot be read any more: was it changed?";

impl Slices {
    /// Waits until enough lies ready, or all that is left.
    async fn ready(&self) -> Result<(), String> {
        loop {
            let slice = {
                let reading = self.0.borrow();
                if reading.ready >= AHEAD {
                    return Ok(());
                }
                reading.next()?
            };
            let Some(slice) = slice else {
                return Ok(());
            };
            let bytes = JsFuture::from(slice.array_buffer())
                .await
                .map_err(|_| CHANGED)?;
            self.0.borrow_mut().take(bytes.unchecked_ref());
        }
    }
}

impl Reading {
    /// The slice that comes next; nothing at the end.
    fn next(&self) -> Result<Option<Blob>, String> {
        let end = self.size.min(self.at + SLICE);
        if end == self.at {
            return Ok(None);
        }
        let slice = self
            .file
            .slice_with_f64_and_f64(self.at as f64, end as f64)
            .map_err(|_| CHANGED)?;
        Ok(Some(slice))
    }

    fn take(&mut self, bytes: &ArrayBuffer) {
        let bytes = Uint8Array::new(bytes).to_vec();
        self.at += bytes.len() as u64;
        self.ready += bytes.len() as u64;
        self.waiting.push_back(bytes);
    }
}

impl Read for Slices {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reading = self.0.borrow_mut();
        if reading.waiting.is_empty() {
            // More than lay ready: it is read without waiting.
            let Some(slice) = reading.next().map_err(io::Error::other)? else {
                return Ok(0);
            };
            let bytes = reading.reader.read_as_array_buffer(&slice);
            let bytes = bytes.map_err(|_| io::Error::other(CHANGED))?;
            reading.take(&bytes);
        }
        let taken = reading.taken;
        let Some(first) = reading.waiting.front() else {
            return Ok(0);
        };
        let rest = &first[taken..];
        let some = rest.len().min(buffer.len());
        let is_all = some == rest.len();
        buffer[..some].copy_from_slice(&rest[..some]);
        reading.ready -= some as u64;
        reading.taken += some;
        if is_all {
            reading.waiting.pop_front();
            reading.taken = 0;
        }
        Ok(some)
    }
}
