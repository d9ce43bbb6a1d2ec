//! Requests to the cache itself, as `nix copy` sends them: `HEAD` and `PUT` of archives, `PUT` of
//! narinfos. With `XMLHttpRequest`, because it alone says how far an upload is.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, ProgressEvent, XmlHttpRequest};

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 2xx, and what the server says with it: nothing, or for what a path waits.
    Done(String),
    /// There is no answer: the network, or the server, is gone.
    Lost,
    /// Another status, and what the server says in one line.
    Refused(u16, String),
}

/// The requests under way, so that they can be broken off.
#[derive(Debug, Clone, Default)]
pub struct Requests(Rc<RefCell<Vec<XmlHttpRequest>>>);

impl Requests {
    /// Breaks all of them off: each ends as [`Answer::Lost`].
    pub fn stop(&self) {
        // An end of one takes it out of the list.
        let all = self.0.borrow().clone();
        for request in all {
            let _ = request.abort();
        }
    }

    /// Whether the caller may be told that the object is there.
    pub async fn has(&self, address: &str) -> Answer {
        self.send("HEAD", address, None, |_| ()).await
    }

    /// Puts bytes at an address. `told` hears how many were sent.
    pub async fn put(&self, address: &str, body: &Blob, told: impl Fn(u64) + 'static) -> Answer {
        self.send("PUT", address, Some(body), told).await
    }

    async fn send(
        &self,
        method: &str,
        address: &str,
        body: Option<&Blob>,
        told: impl Fn(u64) + 'static,
    ) -> Answer {
        let Ok(request) = XmlHttpRequest::new() else {
            return Answer::Lost;
        };
        let progress = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
            told(event.loaded() as u64);
        });
        if request.open_with_async(method, address, true).is_err() {
            return Answer::Lost;
        }
        if body.is_some()
            && let Ok(upload) = request.upload()
        {
            upload.set_onprogress(Some(progress.as_ref().unchecked_ref()));
        }
        self.0.borrow_mut().push(request.clone());
        let ended = Promise::new(&mut |resolve: Function, _| {
            request.set_onloadend(Some(&resolve));
        });
        let sent = match body {
            Some(body) => request.send_with_opt_blob(Some(body)),
            None => request.send(),
        };
        if sent.is_ok() {
            let _ = JsFuture::from(ended).await;
        }
        self.0
            .borrow_mut()
            .retain(|other| JsValue::from(other) != JsValue::from(&request));
        match request.status().unwrap_or(0) {
            0 => Answer::Lost,
            status => {
                let text = request.response_text().ok().flatten().unwrap_or_default();
                let text = text.trim().to_owned();
                match status {
                    200..=299 => Answer::Done(text),
                    _ => Answer::Refused(status, text),
                }
            }
        }
    }
}

/// Waits.
pub async fn pause(milliseconds: i32) {
    let over = Promise::new(&mut |resolve: Function, _| {
        let _ = leptos::prelude::window()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let _ = JsFuture::from(over).await;
}
