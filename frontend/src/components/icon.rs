//! The icons: 16 px, one stroke, in the colour of the text beside them. An icon
//! never stands for a word that is not there too.

use leptos::prelude::*;

/// An icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// A shelf of boxes: caches.
    Caches,
    /// A page with a summary: overview.
    Overview,
    /// Lines: paths.
    Paths,
    /// A pulse: findings.
    Health,
    /// Two ends that meet: connect.
    Connect,
    /// A question mark in a circle: help, unknown.
    Help,
    /// A letter i in a circle: about, note.
    Info,
    /// A magnifying glass.
    Search,
    /// Two sheets: copy.
    Copy,
    /// A tick: well, done.
    Tick,
    /// A tick and a clock's hand: well, of a retired key.
    TickClock,
    /// A cross: wrong.
    Cross,
    /// A triangle with a mark: look here.
    Warning,
    /// A dash in a circle: nothing there, not done.
    Dash,
    /// A diamond: content-addressed, needs no signature.
    Diamond,
    /// An arrow into a tray: download.
    Download,
    /// An arrow out of a tray: upload.
    Upload,
    /// An arrow round: again.
    Again,
    /// A sun and a moon: theme.
    Theme,
    /// An arrow up: ascending.
    Up,
    /// An arrow down: descending.
    Down,
    /// A bracket pair: the API.
    Code,
    /// A double arrow: fold the rail.
    Fold,
    /// A small arrow down: a menu.
    Menu,
    /// Three dots: more.
    More,
    /// An arrow to the right: next.
    Next,
    /// An arrow to the left: first.
    First,
    /// Two sliders: preferences.
    Sliders,
    /// A key: a public key.
    Key,
    /// A plus sign: add.
    Plus,
    /// An arrow that leaves a box: open, act.
    Act,
    /// Two people: members.
    People,
    /// A page with lines: the audit.
    Record,
    /// A drawing pin: what must stay.
    Pin,
    /// A box: a package.
    Package,
    /// Bars on a line: usage.
    Usage,
    /// A box with a lid: retention.
    Retention,
}

impl Icon {
    /// Every icon, for the page that shows them.
    pub const ALL: [(Self, &'static str); 37] = [
        (Self::Caches, "Caches"),
        (Self::Overview, "Overview"),
        (Self::Paths, "Paths"),
        (Self::Health, "Health"),
        (Self::Connect, "Connect"),
        (Self::Help, "Help"),
        (Self::Info, "Info"),
        (Self::Search, "Search"),
        (Self::Copy, "Copy"),
        (Self::Tick, "Tick"),
        (Self::TickClock, "TickClock"),
        (Self::Cross, "Cross"),
        (Self::Warning, "Warning"),
        (Self::Dash, "Dash"),
        (Self::Diamond, "Diamond"),
        (Self::Download, "Download"),
        (Self::Upload, "Upload"),
        (Self::Again, "Again"),
        (Self::Theme, "Theme"),
        (Self::Up, "Up"),
        (Self::Down, "Down"),
        (Self::Code, "Code"),
        (Self::Fold, "Fold"),
        (Self::Menu, "Menu"),
        (Self::More, "More"),
        (Self::Next, "Next"),
        (Self::First, "First"),
        (Self::Sliders, "Sliders"),
        (Self::Key, "Key"),
        (Self::Plus, "Plus"),
        (Self::Act, "Act"),
        (Self::People, "People"),
        (Self::Record, "Record"),
        (Self::Pin, "Pin"),
        (Self::Package, "Package"),
        (Self::Usage, "Usage"),
        (Self::Retention, "Retention"),
    ];
}

impl Icon {
    const fn path(self) -> &'static str {
        match self {
            Self::Caches => "M2.5 3.5h11v3.5h-11zM2.5 9h11v3.5h-11zM5 5.25h.01M5 10.75h.01",
            Self::Overview => "M2.5 2.5h11v11h-11zM2.5 6h11M6.5 6v7.5",
            Self::Paths => "M2.5 4h.01M2.5 8h.01M2.5 12h.01M5.5 4h8M5.5 8h8M5.5 12h8",
            Self::Health => "M1.5 8.5h3l2-5 3 9 2-4h3",
            Self::Connect => {
                "M6 10 10 6M7 4.5l1.5-1.5a3 3 0 0 1 4.5 4.5L11.5 9M9 11.5 7.5 13A3 3 0 0 1 3 8.5L4.5 7"
            }
            Self::Help => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.3 6.4a1.8 1.8 0 1 1 2.5 1.7c-.6.3-.8.6-.8 1.2M8 11.4h.01"
            }
            Self::Info => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.5v3.5M8 5.2h.01",
            Self::Search => "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5 13.5 13.5",
            Self::Copy => "M6 6h7.5v7.5H6zM3.5 10h-1V2.5H10v1",
            Self::Tick => "m3 8.5 3.2 3.2L13 4.8",
            Self::TickClock => "m1.5 8 2.8 2.8L10 5M11 8.5v2.8h2.2",
            Self::Cross => "m4 4 8 8M12 4l-8 8",
            Self::Warning => "M8 2.5 14 13H2zM8 6.5v3M8 11.2h.01",
            Self::Dash => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.5 8h5",
            Self::Diamond => "M8 2 14 8l-6 6-6-6z",
            Self::Download => "M8 2.5v7M5 7l3 3 3-3M2.5 11v2.5h11V11",
            Self::Upload => "M8 9.5v-7M5 5l3-3 3 3M2.5 11v2.5h11V11",
            Self::Again => "M13 8a5 5 0 1 1-1.6-3.7M13 2.5V5h-2.5",
            Self::Theme => {
                "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM8 2.5v11M8 5l3.5 0M8 8h5.4M8 11h3.5"
            }
            Self::Up => "M8 13V3.5M4 7l4-4 4 4",
            Self::Down => "M8 3v9.5M4 9l4 4 4-4",
            Self::Code => "m5.5 4.5-4 3.5 4 3.5M10.5 4.5l4 3.5-4 3.5",
            Self::Fold => "m8 4-4 4 4 4M12.5 4l-4 4 4 4",
            Self::Menu => "m4.5 6.5 3.5 3.5 3.5-3.5",
            Self::More => "M3.5 8h.01M8 8h.01M12.5 8h.01",
            Self::Next => "m6 3.5 4.5 4.5L6 12.5",
            Self::First => "M10 3.5 5.5 8l4.5 4.5M3.5 3.5v9",
            Self::Sliders => "M2.5 5h6M11.5 5h2M10 3.5v3M2.5 11h2M7.5 11h6M6 9.5v3",
            Self::Key => "M5.5 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM7.7 7.8 13 2.5M10.5 5l2 2",
            Self::Plus => "M8 3v10M3 8h10",
            Self::People => {
                "M6 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.5a4.5 4.5 0 0 1 9 0M11 3.2a2.5 2.5 0 0 1 0 4.6M12 9.5a4.5 4.5 0 0 1 2.5 4"
            }
            Self::Record => "M3.5 2.5h9v11h-9zM6 5.5h4M6 8h4M6 10.5h2.5",
            Self::Pin => {
                "M9.8 2.2 13.8 6.2 11.3 7.2 8.8 9.7 8.3 13 3 7.7 6.3 7.2 8.8 4.7zM5.6 10.4 2.5 13.5"
            }
            Self::Package => "M8 2 13.5 5v6L8 14 2.5 11V5zM2.5 5 8 8l5.5-3M8 8v6",
            Self::Usage => "M2.5 13.5h11M4.5 13V9M8 13V3.5M11.5 13V6.5",
            Self::Retention => "M2.5 3h11v3h-11zM3.5 6v7.5h9V6M6.5 9h3",
            Self::Act => "M6.5 3.5h-3v9h9v-3M9 3h4v4M13 3 7.5 8.5",
        }
    }
}

/// Draws it, hidden from screen readers: the word beside it says it.
pub fn icon(icon: Icon) -> AnyView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
            <path d=icon.path() />
        </svg>
    }
    .into_any()
}

/// The mark: a low bank of stacked flakes.
pub fn mark() -> AnyView {
    view! {
        <svg class="mark" viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
            <path
                class="mark-back"
                d="M10.75 6.6 15 9.05v4.9l-4.25 2.45L6.5 13.95v-4.9zM21.25 6.6l4.25 2.45v4.9l-4.25 2.45L17 13.95v-4.9z"
            />
            <path
                class="mark-front"
                d="M5.5 15.7 9.75 18.15v4.9L5.5 25.5 1.25 23.05v-4.9zM16 15.7l4.25 2.45v4.9L16 25.5l-4.25-2.45v-4.9zM26.5 15.7l4.25 2.45v4.9l-4.25 2.45-4.25-2.45v-4.9z"
            />
        </svg>
    }
    .into_any()
}
