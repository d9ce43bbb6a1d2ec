//! What a user sees and does in a browser. Tests are named by the line of the
//! acceptance list that they show.

mod access;
mod alerts;
mod approvals;
mod choosing;
mod closure;
mod closure_views;
mod connect;
mod connect_choices;
mod connect_real;
mod copying;
mod costs;
mod doctor;
mod every_page;
mod explore;
mod files;
mod health;
mod hostile;
mod indexing;
mod keyboard;
mod keys;
mod listing;
mod live;
mod logs;
mod merge;
mod month;
mod omnibox;
mod overview;
mod pages;
mod parts;
mod path_page;
mod pictures;
mod pins;
mod preferences;
mod proxy;
mod retention;
mod revoking;
mod rotation;
mod scene;
mod search;
mod shell;
mod snapshots;
mod story;
mod upload;
mod upload_pin;
mod upload_sessions;
mod upload_vectors;
mod upstreams;
mod usage;
mod vouching;
mod window;

/// FX1 of the acceptance list: top → mid → leaf. The demo holds it.
mod fx1 {
    pub(super) const TOP: &str = "/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0";
    pub(super) const TOP_HASH: &str = "xynxqns12h5f1dcq1j5x3c3232454njk";
    pub(super) const MID: &str = "/nix/store/2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0";
    pub(super) const MID_HASH: &str = "2q7j6yg8p39a9agynmkwvp3ny6sjfj8k";
    pub(super) const LEAF: &str = "/nix/store/fpfpv5zl6l69d93iykc4lfd2z29s4kxz-leaf-1.0";
    pub(super) const LEAF_HASH: &str = "fpfpv5zl6l69d93iykc4lfd2z29s4kxz";
}

/// FX2: the June 2026 incident, signed by cache.nixos.org-1. The demo holds it and its twin.
const FX2_HASH: &str = "0mg3mag909yg8pk14cjsppxs2px7iqfv";
