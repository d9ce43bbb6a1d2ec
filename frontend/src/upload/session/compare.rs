//! A path that is there with other content: in which files, and a report of it for others.

use std::rc::Rc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::api::files::Contents;
use snowbank_shared::contents::{Difference, between};
use wasm_bindgen::JsValue;
use web_sys::Blob;

use crate::api;
use crate::state::navigation::with_base;
use crate::upload::transfer::{Answer, pause};
use crate::upload::worker::Bench;

use super::look::ask;
use super::{Compared, Reported, Row, Session};

/// Milliseconds before the server is asked again how far it has read.
const AGAIN: i32 = 700;
/// How often it is asked: for a quarter of an hour.
const MOST: u32 = 1300;

impl Session {
    /// Finds out in which files a path differs from what is there. Nothing is sent.
    pub fn compare(self: &Rc<Self>, row: RwSignal<Row>) {
        if row.with_untracked(|row| row.compared == Some(Compared::Busy)) {
            return;
        }
        row.update(|row| row.compared = Some(Compared::Busy));
        let session = Rc::clone(self);
        spawn_local(async move {
            let compared = match session.compared(row).await {
                Ok(difference) => Compared::Done(difference),
                Err(why) => Compared::Failed(why),
            };
            // The page may be gone.
            row.try_update(|row| row.compared = Some(compared));
        });
    }

    /// The archive of a row, how it is packed and how large it is.
    fn place(&self, row: RwSignal<Row>) -> Option<usize> {
        let hash = row.with_untracked(|row| row.hash.clone());
        let items = self.items.borrow();
        items
            .iter()
            .position(|item| item.narinfo.store_path().hash().to_string() == hash)
    }

    async fn compared(&self, row: RwSignal<Row>) -> Result<Difference, String> {
        let turn = self.turn.get();
        let gone = || "The files have changed meanwhile.".to_owned();
        let at = self.place(row).ok_or_else(gone)?;
        let (file, narinfo) = {
            let items = self.items.borrow();
            let item = items.get(at).ok_or_else(gone)?;
            (item.archive.clone(), item.narinfo.clone())
        };
        let file = file.ok_or("Its archive is not among the files.")?;
        // Another worker may be busy with the other paths.
        let bench = Bench::start().await?;
        let mine = bench
            .contents_of(&file, narinfo.codec(), narinfo.nar_size())
            .await
            .map_err(|why| match why {
                Some(why) => format!("Your archive cannot be compared here: {why}."),
                None => "This browser could not look at it.".to_owned(),
            })?;
        drop(bench);
        let path = api::path_path(
            &self.cache,
            &row.with_untracked(|row| row.hash.clone()),
            "contents",
        );
        for _ in 0..MOST {
            if self.is_over(turn) {
                return Err(gone());
            }
            let theirs: Contents = ask(path.clone())
                .await
                .map_err(|error| format!("{}. {}", error.what(), error.why()))?;
            if theirs.reading.is_none() {
                return Ok(between(&theirs.items, &mine));
            }
            pause(AGAIN).await;
        }
        Err("The server reads for too long.".to_owned())
    }

    /// Sends a build that differs, so that the server keeps a report of it. What is there stays.
    pub fn report(self: &Rc<Self>, row: RwSignal<Row>) {
        if row.with_untracked(|row| matches!(row.reported, Reported::Busy | Reported::Yes)) {
            return;
        }
        row.update(|row| row.reported = Reported::Busy);
        let session = Rc::clone(self);
        spawn_local(async move {
            let reported = match session.sent_as_report(row).await {
                Ok(()) => Reported::Yes,
                Err(why) => Reported::Failed(why),
            };
            row.try_update(|row| row.reported = reported);
        });
    }

    async fn sent_as_report(&self, row: RwSignal<Row>) -> Result<(), String> {
        let gone = || "The files have changed meanwhile.".to_owned();
        let at = self.place(row).ok_or_else(gone)?;
        let (file, narinfo) = {
            let items = self.items.borrow();
            let item = items.get(at).ok_or_else(gone)?;
            (item.archive.clone(), item.narinfo.clone())
        };
        let file = file.ok_or("Its archive is not among the files.")?;
        let address = |key: &str| with_base(&format!("/{}/{key}", self.cache));
        match self
            .requests
            .put(&address(&narinfo.nar_key()), &file, |_| ())
            .await
        {
            Answer::Done(_) => {}
            Answer::Lost => return Err("The connection is gone.".to_owned()),
            Answer::Refused(_, why) => return Err(why),
        }
        let text = js_sys::Array::of1(&JsValue::from_str(narinfo.text()));
        let body = Blob::new_with_str_sequence(&text).map_err(|_| gone())?;
        let key = narinfo.store_path().hash().narinfo_key();
        match self.requests.put(&address(&key), &body, |_| ()).await {
            // As it should: the first stays.
            Answer::Refused(409, _) => Ok(()),
            Answer::Refused(_, why) => Err(why),
            Answer::Lost => Err("The connection is gone.".to_owned()),
            Answer::Done(_) => Err("The server took it as the same content.".to_owned()),
        }
    }
}
