//! The parts of the program that arrive when a page first needs them.
//!
//! What every page stands on, the caches and a cache's overview are the program
//! itself. The other pages are cut off it: each function below marked
//! `wasm_split`, with all that nothing else uses, becomes a file of its own,
//! which `backend/build.rs` cuts and names.
//!
//! A part is fetched once, when a page of it is opened. Some seconds after the
//! start the rest (but for the upload form, whose decoders are large, and for what few decide on or watch) is fetched too, one after the other, so that the next click
//! waits for nothing and still works once the server was replaced by a newer
//! one. Who saves data is spared that.
//!
//! A new page goes into the part whose pages its readers have open anyway.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use snowbank_shared::route::{
    AccessRoute, ConnectRoute, ContributeRoute, ExploreRoute, MonitoringRoute, PinsRoute,
    RouteError,
};
use wasm_split_helpers::{SplitLoaderError, wasm_split};

use crate::components::banner::alert;
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::icon::Icon;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::pages;

/// A page that is not in the program itself, by the part that holds it.
#[derive(Debug, Clone)]
pub enum Page {
    Browse(Browse),
    Path(PathPart),
    People(AccessRoute),
    Contribute(Decision),
    Explore(Explored),
    Upload(UploadPage),
    Connect(ConnectRoute),
    Guide(Guide),
    Monitor(MonitoringRoute),
}

/// What somebody decides on.
#[derive(Debug, Clone)]
pub enum Decision {
    Uploads(ContributeRoute),
    Signing { cache: String, query: String },
    Rotation { cache: String },
}

/// How paths hang together, and what stays.
#[derive(Debug, Clone)]
pub enum Explored {
    Paths(ExploreRoute),
    Pins(PinsRoute),
}

/// Uploads from a browser.
#[derive(Debug, Clone)]
pub enum UploadPage {
    Form { cache: String },
    Sessions { cache: String },
    Session { cache: String, id: String },
}

/// A path, or who vouches for all of them.
#[derive(Debug, Clone)]
pub enum PathPart {
    Path { cache: String, hash: String },
    Keys { cache: String },
    Key { cache: String, name: String },
    Signatures { cache: String },
}

/// Lists of paths.
#[derive(Debug, Clone)]
pub enum Browse {
    Paths { cache: String },
    Lookup,
    Health { cache: String },
    Upstreams { cache: String },
    Conflicts { cache: String, hash: Option<String> },
}

/// How to use this dashboard.
#[derive(Debug, Clone)]
pub enum Guide {
    Help,
    Glossary,
    Components,
    Preferences,
    About,
    NotFound(RouteError),
}

#[wasm_split(browse, fallible, preload(fetch_browse))]
fn browse(page: Browse) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        Browse::Paths { cache } => pages::paths::page(&cache),
        Browse::Lookup => pages::lookup::page(),
        Browse::Health { cache } => pages::health::page(&cache),
        Browse::Upstreams { cache } => pages::upstreams::page(&cache),
        Browse::Conflicts { cache, hash } => pages::conflicts::page(&cache, hash),
    })
}

/// A path, and what asks of a whole cache what a tab of it asks of one path. One function, for one
/// answers at once only where its own name was fetched.
#[wasm_split(path, fallible, preload(fetch_path))]
fn path(page: PathPart) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        PathPart::Path { cache, hash } => pages::path::page(&cache, &hash),
        PathPart::Keys { cache } => pages::signers::page(&cache),
        PathPart::Key { cache, name } => pages::signer::page(&cache, &name),
        PathPart::Signatures { cache } => pages::coverage::page(&cache),
    })
}

#[wasm_split(people, fallible, preload(fetch_people))]
fn people(page: AccessRoute) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        AccessRoute::Login { back, problem } => pages::login::page(back, problem),
        AccessRoute::Invite { link } => pages::login::invite(link),
        AccessRoute::Members => pages::members::page(),
        AccessRoute::Me => pages::me::page(),
        AccessRoute::Tokens => pages::me::tokens(),
        AccessRoute::Keys => pages::keys::page(),
        AccessRoute::Settings { cache } => pages::settings::page(cache),
        AccessRoute::Audit { cache, .. } => pages::audit::page(cache),
    })
}

/// What somebody decides on: uploads that wait, the policy, signatures in bulk, keys.
#[wasm_split(contribute, fallible, preload(fetch_contribute))]
fn contribute(page: Decision) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        Decision::Uploads(ContributeRoute::Approvals { cache, .. }) => {
            pages::approvals::page(&cache)
        }
        Decision::Uploads(ContributeRoute::Approval { cache, id }) => {
            pages::approval::page(&cache, &id)
        }
        Decision::Uploads(ContributeRoute::Policy { cache }) => pages::policy::page(&cache),
        Decision::Signing { cache, query } => pages::signing::page(&cache, &query),
        Decision::Rotation { cache } => pages::rotation::page(&cache),
    })
}

/// How paths hang together, and what stays.
#[wasm_split(explore, fallible, preload(fetch_explore))]
fn explore(page: Explored) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        Explored::Paths(ExploreRoute::Why { cache, .. }) => pages::why::page(&cache),
        Explored::Paths(ExploreRoute::Diff { cache, .. }) => pages::diff::page(&cache),
        Explored::Paths(ExploreRoute::Packages { cache, .. }) => pages::packages::page(&cache),
        Explored::Paths(ExploreRoute::Package { cache, name }) => {
            pages::package::page(&cache, &name)
        }
        Explored::Pins(PinsRoute::Pins { cache }) => pages::pins::page(&cache),
        Explored::Pins(PinsRoute::Pin {
            cache,
            name,
            revision,
        }) => pages::pin::page(&cache, &name, revision),
        Explored::Pins(PinsRoute::Quarantine { cache }) => pages::quarantine::page(&cache),
    })
}

#[wasm_split(upload, fallible, preload(fetch_upload))]
fn upload(page: UploadPage) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        UploadPage::Form { cache } => pages::upload::page(&cache),
        UploadPage::Sessions { cache } => pages::uploads::page(&cache),
        UploadPage::Session { cache, id } => pages::upload_session::page(&cache, &id),
    })
}

#[wasm_split(upload, fallible)]
fn upload_worker() -> Result<(), SplitLoaderError> {
    crate::upload::worker::serve();
    Ok(())
}

/// What the program does without a window, in a worker: it waits for work.
pub fn work() {
    // Leptos' own needs the application to have started.
    wasm_bindgen_futures::spawn_local(async {
        if fetch_upload().await.is_ok() {
            let _ = upload_worker().await;
        }
    });
}

#[wasm_split(connect, fallible, preload(fetch_connect))]
fn connect(page: ConnectRoute) -> Result<AnyView, SplitLoaderError> {
    Ok(pages::connect::page(page))
}

#[wasm_split(guide, fallible, preload(fetch_guide))]
fn guide(page: Guide) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        Guide::Help => pages::help::page(),
        Guide::Glossary => pages::glossary::page(),
        Guide::Components => pages::components::page(),
        Guide::Preferences => pages::preferences::page(),
        Guide::About => pages::about::page(),
        Guide::NotFound(error) => pages::not_found::page(&error),
    })
}

/// How a cache is used, what may go, and who is told.
#[wasm_split(monitor, fallible, preload(fetch_monitor))]
fn monitor(page: MonitoringRoute) -> Result<AnyView, SplitLoaderError> {
    Ok(match page {
        MonitoringRoute::Usage { cache, .. } => pages::usage::page(&cache),
        MonitoringRoute::Alerts { cache } => pages::alerts::page(&cache),
        other => pages::retention::page(&other),
    })
}

/// A file of pages.
#[derive(Debug, Clone, Copy)]
enum Part {
    Browse,
    Path,
    People,
    Connect,
    Guide,
    /// Few decide on uploads and keys: only who opens such a page fetches it.
    Contribute,
    Explore,
    /// Charts: only who watches a cache fetches them.
    Monitor,
    /// Decoders are large and few people upload: only who opens the page fetches it.
    Upload,
}

impl Part {
    /// How many there are.
    const COUNT: usize = 9;
    /// What everybody gets at leisure, in this order.
    const FOR_ALL: [Self; 6] = [
        Self::Browse,
        Self::Path,
        Self::Connect,
        Self::Guide,
        Self::People,
        Self::Explore,
    ];

    const fn of(page: &Page) -> Self {
        match page {
            Page::Browse(_) => Self::Browse,
            Page::Path(_) => Self::Path,
            Page::People(_) => Self::People,
            Page::Contribute(_) => Self::Contribute,
            Page::Explore(_) => Self::Explore,
            Page::Upload(_) => Self::Upload,
            Page::Connect(_) => Self::Connect,
            Page::Guide(_) => Self::Guide,
            Page::Monitor(_) => Self::Monitor,
        }
    }

    async fn fetch(self) -> Result<(), SplitLoaderError> {
        match self {
            Self::Browse => fetch_browse().await,
            Self::Path => fetch_path().await,
            Self::People => fetch_people().await,
            Self::Connect => fetch_connect().await,
            Self::Contribute => fetch_contribute().await,
            Self::Guide => fetch_guide().await,
            Self::Explore => fetch_explore().await,
            Self::Upload => fetch_upload().await,
            Self::Monitor => fetch_monitor().await,
        }
    }
}

/// Where a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// Nobody has asked for it.
    Due,
    OnItsWay,
    Here,
    Failed,
}

/// Which parts are here. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Parts([RwSignal<Arrival>; Part::COUNT]);

/// How long after the start the parts that nobody asked for are fetched.
const AT_LEISURE: Duration = Duration::from_secs(4);

impl Parts {
    /// Once, at the start.
    pub fn start() -> Self {
        let parts = Self(std::array::from_fn(|_| RwSignal::new(Arrival::Due)));
        if !saves_data() {
            set_timeout(move || spawn_local(parts.bring_the_rest()), AT_LEISURE);
        }
        parts
    }

    /// Draws a page, as soon as its part is here.
    pub fn draw(self, page: Page) -> AnyView {
        let part = Part::of(&page);
        changing(move || match self.arrival(part) {
            Arrival::Here => drawn(page.clone()).into_any(),
            Arrival::Failed => self.not_here(part),
            Arrival::Due | Arrival::OnItsWay => skeleton(6, "Fetching this part of the dashboard…"),
        })
    }

    /// Tracked. Asks for the part where nobody has.
    fn arrival(self, part: Part) -> Arrival {
        let state = self.0[part as usize];
        if state.get_untracked() == Arrival::Due {
            self.ask(part);
        }
        state.get()
    }

    fn ask(self, part: Part) {
        spawn_local(self.bring(part, Arrival::Failed));
    }

    async fn bring(self, part: Part, otherwise: Arrival) {
        let state = self.0[part as usize];
        state.set(Arrival::OnItsWay);
        let arrived = part.fetch().await.is_ok();
        state.set(if arrived { Arrival::Here } else { otherwise });
    }

    async fn bring_the_rest(self) {
        for part in Part::FOR_ALL {
            if self.0[part as usize].get_untracked() == Arrival::Due {
                self.bring(part, Arrival::Due).await;
            }
        }
    }

    fn not_here(self, part: Part) -> AnyView {
        page_title(|| "This page did not arrive".to_owned());
        let words = view! {
            <p>
                "A part of the dashboard could not be fetched: the connection is gone, or the server was replaced by a newer one."
            </p>
            <p>"Try again. If that does not help, reload the page in the browser."</p>
        };
        let again = button(Weight::Plain, Some(Icon::Again), "Try again", move || {
            self.ask(part);
        });
        view! {
            <div class="page">
                <div class="page-head">{heading("This page did not arrive")}</div>
                {alert(Tone::Bad, "", words, again)}
            </div>
        }
        .into_any()
    }
}

/// A page whose part is here.
fn drawn(page: Page) -> Option<AnyView> {
    match page {
        Page::Browse(page) => at_once(browse(page)),
        Page::Path(page) => at_once(path(page)),
        Page::People(page) => at_once(people(page)),
        Page::Contribute(page) => at_once(contribute(page)),
        Page::Explore(page) => at_once(explore(page)),
        Page::Upload(page) => at_once(upload(page)),
        Page::Connect(page) => at_once(connect(page)),
        Page::Guide(page) => at_once(guide(page)),
        Page::Monitor(page) => at_once(monitor(page)),
    }
}

/// What a future gives that has nothing to wait for.
fn at_once(future: impl Future<Output = Result<AnyView, SplitLoaderError>>) -> Option<AnyView> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(view) => view.ok(),
        Poll::Pending => None,
    }
}

/// Whether the browser was told to save data; not every browser says.
fn saves_data() -> bool {
    let get = |of: &wasm_bindgen::JsValue, name: &str| js_sys::Reflect::get(of, &name.into()).ok();
    get(&window().navigator(), "connection")
        .filter(wasm_bindgen::JsValue::is_object)
        .and_then(|connection| get(&connection, "saveData"))
        .is_some_and(|saves| saves.is_truthy())
}
