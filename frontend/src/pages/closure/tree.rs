//! The references, unfolded: a tree after the ARIA pattern. The focus stays on
//! the tree; which row is active is told by its id.

use leptos::attr::custom::custom_attribute;
use leptos::prelude::*;
use web_sys::{KeyboardEvent, MouseEvent};

use super::explorer::{Step, hit, number, reveal};
use super::missing::on_upstreams;
use super::near::Near;
use super::shape::Shape;
use super::tree_rows::{Kind, Row, Unfolded, rows};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::icon::Icon;
use crate::components::size::size;
use crate::components::store_path::path_text;
use crate::format;
use crate::state::derived::{effect, memo};

/// The tree and its active row.
#[derive(Debug, Clone, Copy)]
struct Tree {
    near: Near,
    unfolded: RwSignal<Unfolded>,
    rows: Memo<Vec<Row>>,
    /// Whose child the active row is, and which.
    active: RwSignal<(Option<u32>, u32)>,
    /// Where that row stands.
    at: Memo<usize>,
}

/// Draws it.
pub fn tree(near: Near) -> AnyView {
    let unfolded = RwSignal::new(Unfolded::root());
    let rows = memo(move || {
        let size = near.explorer.size.get();
        unfolded.with(|unfolded| rows(&near.shape(), unfolded, size))
    });
    let active = RwSignal::new((None, 0));
    let at = memo(move || {
        let (parent, node) = active.get();
        rows.with(|rows| {
            let same = |row: &&Row| row.parent == parent && row.node == node && !is_more(row);
            let exact = rows.iter().find(same);
            let place = |row: &Row| rows.iter().position(|other| other == row);
            exact
                .and_then(place)
                .or_else(|| {
                    rows.iter()
                        .position(|row| row.node == node && !is_more(row))
                })
                .unwrap_or_default()
        })
    });
    let tree = Tree {
        near,
        unfolded,
        rows,
        active,
        at,
    };
    // Selected elsewhere: its row is unfolded.
    effect(move || {
        let selected = near.selected.get();
        if active.with_untracked(|(_, node)| *node != selected) {
            let size = near.explorer.size.get_untracked();
            unfolded.update(|unfolded| unfolded.reveal(&near.shape(), selected, size));
            tree.to_first(selected);
        }
    });
    effect(move || {
        at.track();
        reveal("#closure-tree", "#closure-tree > .is-active");
    });
    listen(tree);
    view! {
        <ul
            id="closure-tree"
            class="tree"
            role="tree"
            tabindex="0"
            aria-label="References of the closure"
            aria-activedescendant=move || format!("closure-row-{}", at.get())
            on:click=move |event| tree.press(&event)
        >
            {changing(move || drawn(tree))}
        </ul>
        <p class="muted view-note">
            "A path that comes again is a link to its row above. Right unfolds, Left folds, Enter opens the path's page."
        </p>
    }
    .into_any()
}

const fn is_more(row: &Row) -> bool {
    matches!(row.kind, Kind::More(_))
}

impl Tree {
    fn row(self, at: usize) -> Option<Row> {
        self.rows.with_untracked(|rows| rows.get(at).copied())
    }

    fn go(self, row: Row) {
        self.active.set((row.parent, row.node));
        self.near.select(row.node);
    }

    /// To the row of a node that is not "shown above".
    fn to_first(self, node: u32) {
        let first = self.rows.with_untracked(|rows| {
            rows.iter()
                .find(|row| row.node == node && !is_more(row))
                .copied()
        });
        if let Some(row) = first {
            self.active.set((row.parent, row.node));
        }
    }

    fn set(self, node: u32, open: bool) {
        self.unfolded.update(|unfolded| unfolded.set(node, open));
    }

    /// What Enter and a second click on a row do.
    fn enter(self, row: Row) {
        match row.kind {
            Kind::Above => {
                self.to_first(row.node);
                self.near
                    .explorer
                    .announcer
                    .say("To where it is shown above");
            }
            Kind::More(_) => self.unfolded.update(|unfolded| unfolded.more(row.node)),
            Kind::Branch { .. } | Kind::Leaf => self.near.explorer.open(),
        }
    }

    fn take(self, step: Step) {
        let at = self.at.get_untracked();
        let count = self.rows.with_untracked(Vec::len);
        let Some(row) = self.row(at) else { return };
        let to = |at: usize| {
            if let Some(row) = self.row(at) {
                if is_more(&row) {
                    // It has no path of its own: it acts as soon as it is reached.
                    self.enter(row);
                } else {
                    self.go(row);
                }
            }
        };
        match step {
            Step::Down => to((at + 1).min(count.saturating_sub(1))),
            Step::Up => to(at.saturating_sub(1)),
            Step::First => to(0),
            Step::Last => to(count.saturating_sub(1)),
            Step::Right => match row.kind {
                Kind::Branch { open: false } => self.set(row.node, true),
                Kind::Branch { open: true } => to(at + 1),
                Kind::Above => self.enter(row),
                Kind::Leaf | Kind::More(_) => {}
            },
            Step::Left => match (row.kind, row.parent) {
                (Kind::Branch { open: true }, _) => self.set(row.node, false),
                (_, Some(parent)) => {
                    self.to_first(parent);
                    self.near.select(parent);
                }
                (_, None) => {}
            },
            Step::Enter => self.enter(row),
            Step::Out => {}
        }
    }

    fn press(self, event: &MouseEvent) {
        let item = hit(event, "[data-row]");
        let Some(row) = item
            .and_then(|item| number(&item, "data-row"))
            .and_then(|at| self.row(at as usize))
        else {
            return;
        };
        let on_mark = hit(event, ".tree-mark").is_some();
        match row.kind {
            Kind::More(_) => self.enter(row),
            Kind::Above if on_mark => {
                self.go(row);
                self.enter(row);
            }
            Kind::Branch { open } if on_mark => {
                self.go(row);
                self.set(row.node, !open);
            }
            _ => self.go(row),
        }
    }
}

fn listen(tree: Tree) {
    let explorer = tree.near.explorer;
    let keys = window_event_listener(
        leptos::ev::keydown,
        move |event: KeyboardEvent| match explorer.step(&event, "#closure-tree") {
            None | Some(Step::Out) => {}
            Some(step) => {
                tree.take(step);
                event.prevent_default();
            }
        },
    );
    on_cleanup(move || keys.remove());
}

fn drawn(tree: Tree) -> AnyView {
    let shape = tree.near.shape();
    tree.rows.with(|rows| {
        rows.iter()
            .enumerate()
            .map(|(at, row)| item(tree, &shape, at, *row))
            .collect_view()
            .into_any()
    })
}

fn item(tree: Tree, shape: &Shape, at: usize, row: Row) -> AnyView {
    let node = shape.node(row.node);
    let active = Signal::derive(move || tree.at.get() == at);
    let (mark, words) = match row.kind {
        Kind::Branch { open: true } => ("▾", None),
        Kind::Branch { open: false } => ("▸", None),
        Kind::Above => ("↑", Some("↑ shown above".to_owned())),
        Kind::Leaf => ("", None),
        Kind::More(left) => ("…", Some(format!("{} more", format::count(left as u64)))),
    };
    let name = (!is_more(&row)).then(|| path_text(&format!("{}-{}", node.hash, node.name)));
    let kind = tree.near.explorer.size.get_untracked();
    let facts = if is_more(&row) {
        None
    } else if node.present {
        shape.bytes(row.node, kind).map(size)
    } else {
        Some(
            view! {
                {chip((Tone::Bad, Icon::Cross, "referenced, not in this cache", "A client cannot fetch it from here."))}
                {on_upstreams(tree.near.upstreams, node.hash.clone())}
            }
            .into_any(),
        )
    };
    let open = match row.kind {
        Kind::Branch { open } => Some(open.to_string()),
        _ => None,
    };
    view! {
        <li
            role="treeitem"
            id=format!("closure-row-{at}")
            class=format!("tree-row level-{}", row.level.min(24))
            class:is-active=move || active.get()
            class:is-missing=!node.present
            data-row=at.to_string()
            data-node=(!is_more(&row)).then(|| row.node.to_string())
            {custom_attribute("aria-level", row.level.to_string())}
            aria-setsize=row.siblings.to_string()
            aria-posinset=row.place.to_string()
            aria-expanded=open
            aria-selected=move || active.get().to_string()
        >
            <span class="tree-mark" aria-hidden="true">{mark}</span>
            {name}
            {words.map(|words| view! { <span class="tree-again">{words}</span> })}
            <span class="number">{facts}</span>
        </li>
    }
    .into_any()
}
