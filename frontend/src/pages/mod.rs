//! One file per page of the dashboard; the tabs of a path have one each.

pub mod about;
pub mod cache;
pub mod caches;
pub mod connect;
pub mod glossary;
pub mod health;
pub mod health_words;
pub mod help;
pub mod lookup;
pub mod lookup_table;
pub mod not_found;
pub mod path;
pub mod path_absent;
pub mod path_closure;
pub mod path_raw;
pub mod path_referrers;
pub mod path_signatures;
pub mod path_summary;
pub mod paths;
pub mod paths_columns;
pub mod paths_facets;
pub mod paths_filters;
pub mod paths_keys;
pub mod paths_link;
pub mod paths_selection;
pub mod paths_table;
