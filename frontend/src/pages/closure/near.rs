//! A closure that is here whole, or the heaviest part of one: its selected path, its columns.

use std::sync::Arc;

use leptos::prelude::*;
use snowbank_shared::api::{GraphNode, Lookup};

use super::choice::SizeKind;
use super::columns::{Columns, Entry, columns};
use super::explorer::{Explorer, path_address, why_address};
use super::missing::on_upstreams;
use super::shape::Shape;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, signature_chip};
use crate::components::copy::copy_button;
use crate::components::icon::{Icon, icon};
use crate::components::size::size_or;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::state::derived::memo;
use crate::state::remote::Remote;

/// A closure and what is selected in it. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Near {
    /// What is chosen.
    pub explorer: Explorer,
    shape: StoredValue<Arc<Shape>>,
    /// The selected node; the root where the selected path is not in the closure.
    pub selected: Memo<u32>,
    /// The nodes that are looked for.
    pub found: Memo<Vec<u32>>,
    /// What the upstreams say of what is missing.
    pub upstreams: Option<Remote<Lookup>>,
}

impl Near {
    /// Over a closure.
    pub fn new(explorer: Explorer, shape: Shape, upstreams: Option<Remote<Lookup>>) -> Self {
        let shape = StoredValue::new(Arc::new(shape));
        let find = memo(move || explorer.choice.with(|choice| choice.find.clone()));
        Self {
            explorer,
            shape,
            selected: memo(move || {
                let focus = explorer.focus.get();
                shape.with_value(|shape| shape.find(&focus).unwrap_or_default())
            }),
            found: memo(move || find.with(|find| shape.with_value(|shape| shape.found(find)))),
            upstreams,
        }
    }

    /// The closure.
    pub fn shape(self) -> Arc<Shape> {
        self.shape.get_value()
    }

    /// Selects a node.
    pub fn select(self, node: u32) {
        let hash = self.shape.with_value(|shape| shape.node(node).hash.clone());
        self.explorer.select(&hash);
    }

    /// Selects the next of those that are looked for.
    pub fn next_found(self) {
        let selected = self.selected.get_untracked();
        let next = self.found.with_untracked(|found| {
            let after = found.iter().find(|&&node| node > selected);
            after.or(found.first()).copied()
        });
        match next {
            Some(next) => self.select(next),
            None => self
                .explorer
                .announcer
                .say("Nothing in this closure matches"),
        }
    }

    /// What is selected, in one line, and what one does with it.
    pub fn line(self) -> AnyView {
        changing(move || {
            let shape = self.shape();
            let at = self.selected.get();
            selected_line(self, &shape, at)
        })
    }

    /// The columns.
    pub fn columns(self) -> AnyView {
        let size = self.explorer.size;
        let entries = move |nodes: &[u32]| {
            let shape = self.shape();
            let kind = size.get();
            let sorted = shape.by_size(nodes, kind);
            let entry = |&node: &u32| entry(shape.node(node), shape.bytes(node, kind));
            Some(sorted.iter().map(entry).collect::<Vec<_>>())
        };
        let way = way_of(&self.shape(), &self.explorer.focus.get_untracked());
        let trail = RwSignal::new(way);
        columns(Columns {
            explorer: self.explorer,
            trail,
            way: StoredValue::new(Box::new(move |hash: &str| way_of(&self.shape(), hash))),
            referrers: memo(move || entries(self.shape().referrers(self.selected.get()))),
            siblings: memo(move || {
                let shape = self.shape();
                let before = trail.with(|trail| shape.find(trail.iter().rev().nth(1)?));
                match before {
                    Some(before) => entries(shape.references(before)),
                    None => entries(&[self.selected.get()]),
                }
            }),
            references: memo(move || entries(self.shape().references(self.selected.get()))),
            left_title: "Referrers in this closure",
        })
    }
}

fn way_of(shape: &Shape, hash: &str) -> Vec<String> {
    let way = shape.way(shape.find(hash).unwrap_or_default());
    way.iter()
        .map(|&node| shape.node(node).hash.clone())
        .collect()
}

fn entry(node: &GraphNode, bytes: Option<u64>) -> Entry {
    Entry {
        hash: node.hash.clone(),
        name: node.name.clone(),
        present: node.present,
        bytes,
    }
}

/// The words of a size, as the selected path's line has them.
pub const fn size_word(kind: SizeKind) -> &'static str {
    match kind {
        SizeKind::Nar => "NAR",
        SizeKind::Download => "download",
        SizeKind::Added => "added",
    }
}

fn selected_line(near: Near, shape: &Shape, at: u32) -> AnyView {
    let (page, node) = (near.explorer.page, shape.node(at));
    let cache = page.cache.get_value();
    let path = shape.path(at);
    let name = if node.present {
        path_link(&cache, &node.hash, &node.name)
    } else {
        path_text(&path)
    };
    let facts = if node.present {
        let sizes = [SizeKind::Nar, SizeKind::Download, SizeKind::Added].map(|kind| {
            view! {
                <span class="selected-size">
                    {size_or(shape.bytes(at, kind), "unknown")} " " {size_word(kind)}
                </span>
            }
        });
        let freed = node.added_paths.filter(|&paths| paths > 1).map(|paths| {
            view! {
                <span class="muted">
                    {format!("{} would leave this closure with it", format::count(paths))}
                </span>
            }
        });
        view! {
            {sizes.into_iter().collect_view()}
            <span class="muted">{format::counted(node.depth.into(), "step", "steps")}</span>
            {freed}
            {node.signature.map(|status| signature_chip(status, None))}
        }
        .into_any()
    } else {
        view! {
            {chip((Tone::Bad, Icon::Cross, "referenced, not in this cache", "A client cannot fetch it from here."))}
            {on_upstreams(near.upstreams, node.hash.clone())}
        }
        .into_any()
    };
    let open = node.present.then(|| path_address(page, &node.hash));
    acts_line(name, facts, open, why_address(page, &node.hash), path)
}

/// A selected path: its name, what is known, where one can go with it. The keys `w`, `y` and
/// Enter press what is here.
pub fn acts_line(
    name: AnyView,
    facts: AnyView,
    open: Option<String>,
    why: Option<String>,
    path: String,
) -> AnyView {
    let open = open.map(|address| {
        view! {
            <a id="closure-open" class="button" href=address>
                "Open"
            </a>
        }
    });
    let why = why.map(|address| {
        view! {
            <a id="closure-why" class="button" href=address title="Why this path is in the closure (w)">
                {icon(Icon::Help)}
                "Why"
            </a>
        }
    });
    view! {
        <div id="closure-selected" class="selected-line" role="group" aria-label="Selected path">
            <p class="selected-name">{name} {copy_button("Copy store path", false, move || path.clone())}</p>
            <p class="selected-facts">{facts}</p>
            <span class="page-actions">{open} {why}</span>
        </div>
    }
    .into_any()
}
