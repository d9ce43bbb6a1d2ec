//! Retention as it crosses the wire: rules, what they would keep and remove, plans, runs, purges.
//!
//! Bytes freed are bytes as stored, a NAR that several narinfos name counted once and only where no
//! narinfo that stays names it. Unknown is `null`.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::access::Act;

/// The act on a cache that a simulation needs.
pub const SIMULATING_NEEDS: Act = Act::Maintain;
/// The act on a cache that rules, plans, runs and purges need.
pub const RETENTION_NEEDS: Act = Act::Manage;
/// Revisions of each pin that rules may keep at most.
pub const MOST_REVISIONS: u16 = 50;
/// Days that a rule may reach back at most.
pub const MOST_DAYS: u32 = 3_650;
/// Patterns of names that rules may have.
pub const MOST_NAMES: usize = 50;
/// Hours of grace at most for what is new.
pub const MOST_GRACE_HOURS: u32 = 720;
/// Days between trash and deletion, where an owner says nothing: clients remember narinfos so long.
pub const USUAL_GRACE_DAYS: u32 = 30;

/// What stays, with everything that it needs. A path stays when one rule keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Rules {
    /// Keeps this many of the newest revisions of each pin; `null`: pins keep nothing.
    #[serde(default)]
    pub pins: Option<u16>,
    /// Keeps what clients fetched within so many days; `null`: no such rule.
    #[serde(default)]
    pub fetched_days: Option<u32>,
    /// Keeps what was added within so many days; `null`: no such rule.
    #[serde(default)]
    pub uploaded_days: Option<u32>,
    /// Keeps paths whose names match one of these patterns, as `nixos-system-*`.
    #[serde(default)]
    pub names: Vec<String>,
    /// Bytes as stored that the cache should come down to; only for a suggestion.
    #[serde(default)]
    pub target_size: Option<u64>,
    /// Hours for which nothing that is new is counted or removed.
    pub grace_hours: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            pins: Some(5),
            fetched_days: None,
            uploaded_days: Some(30),
            names: Vec::new(),
            target_size: None,
            grace_hours: 24,
        }
    }
}

/// Paths and what they weigh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Weight {
    /// Paths.
    pub paths: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// The rules of a cache as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RetentionRules {
    /// The rules.
    pub rules: Rules,
    /// Days between the trash and the deletion of NARs.
    pub grace_days: u32,
    /// Counts the changes; 0: nobody has set any. A change of another revision is refused.
    pub revision: u64,
    /// Who set them; `null` where nobody has.
    pub by: Option<String>,
    /// When.
    pub at: Option<String>,
}

/// A rule that cannot be applied now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DisabledRule {
    /// The field of the rules: `fetched_days`.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// From when on it can be; `null` where that is not known.
    pub until: Option<String>,
}

/// What a package would free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PackageWeight {
    /// The package's name.
    pub name: String,
    /// Its paths that would go.
    pub paths: u64,
    /// Bytes as stored that go with them.
    pub bytes: u64,
}

/// A path of a list about retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ListedPath {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Bytes as stored of its NAR; `null` where unknown.
    pub bytes: Option<u64>,
    /// When it was fetched last; `null`: never, or not measured.
    pub fetched_at: Option<String>,
    /// When it was added; `null` where unknown.
    pub added_at: Option<String>,
}

/// Some paths of a group, largest first, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PathGroup {
    /// All of them.
    pub all: Weight,
    /// At most 100 of them.
    pub items: Vec<ListedPath>,
}

/// What rules would keep and remove. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Simulation {
    /// The rules that were applied.
    pub rules: Rules,
    /// What is there.
    pub now: Weight,
    /// What would stay.
    pub after: Weight,
    /// What would go.
    pub frees: Weight,
    /// By package, at most 20, largest first.
    pub packages: Vec<PackageWeight>,
    /// What would go and was fetched in the last 30 days; `null` where that is not measured.
    pub at_risk: Option<PathGroup>,
    /// What is new and therefore neither counted nor removed.
    pub grace: PathGroup,
    /// Rules that cannot be applied now, asked for or not.
    pub disabled: Vec<DisabledRule>,
    /// True where no rule is on: then everything stays.
    pub no_rules: bool,
    /// Paths without a receipt: others wrote them past this server. A plan over them needs an
    /// explicit yes.
    pub foreign_paths: u64,
    /// Pins of the cache.
    pub pins: u64,
    /// Why no plan can be made now; `null` where one can.
    pub refusal: Option<String>,
    /// Opaque name of the state of the index that answered.
    pub revision: String,
    /// As of when.
    pub as_of: Option<String>,
    /// Rules that come down to the target size; `null` where none was asked for, these come down to it
    /// already, or nothing of the kind does.
    #[serde(default)]
    pub suggested: Option<Rules>,
    /// Millionths of the currency's unit that are saved each month; `null` where no prices are set.
    #[serde(default)]
    pub saves_monthly: Option<u64>,
    /// The currency of the prices; `null` where none are set.
    #[serde(default)]
    pub currency: Option<String>,
}

/// One step on the way from a rule to a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct KeepStep {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name.
    pub name: String,
}

/// What one rule says of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RuleSays {
    /// The rule in words: “uploaded within 30 days”.
    pub rule: String,
    /// Whether it keeps the path.
    pub keeps: bool,
    /// Why: “uploaded 92 days ago”.
    pub why: String,
}

/// Why rules keep or remove a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WhyKept {
    /// Hash part of the store path.
    pub hash: String,
    /// Whether it stays.
    pub kept: bool,
    /// What keeps it, in words: “pin prod@2”; `null` where it goes.
    pub by: Option<String>,
    /// The pin and its revision, where a pin keeps it.
    pub pin: Option<(String, u64)>,
    /// From what the rule names to the path, both included; empty where it goes.
    pub chain: Vec<KeepStep>,
    /// What each rule says of the path itself.
    pub trace: Vec<RuleSays>,
    /// The rules that were applied.
    pub rules: Rules,
}

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PlanWish {
    /// The rules.
    pub rules: Rules,
    /// The owner knows that others write to the bucket past this server, and says yes all the same.
    #[serde(default)]
    pub foreign: bool,
    /// Days between the trash and the deletion of NARs; as the cache has it where it is not given.
    #[serde(default)]
    pub grace_days: Option<u32>,
}

/// A frozen list of what is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: String,
    /// Until when it may be started.
    pub expires: String,
    /// The rules it was made by.
    pub rules: Rules,
    /// What is on its list.
    pub frees: Weight,
    /// Days between the trash and the deletion of NARs.
    pub grace_days: u32,
    /// Paths of the cache that came past this server.
    pub foreign_paths: u64,
    /// Whether the owner said yes to that.
    pub foreign: bool,
    /// What is needed by now, and stays.
    pub since: Vec<LeftOut>,
    /// How many paths that are.
    pub since_paths: u64,
    /// Why it cannot be started; `null` where it can.
    pub refusal: Option<String>,
    /// The run that carries it out; `null` where none was started.
    pub run: Option<String>,
}

/// A path of a plan that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LeftOut {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// Why it stays.
    pub reason: KeptSince,
    /// The same in words: “pinned since: prod@3”.
    pub words: String,
}

/// Why a path of a plan stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeptSince {
    /// A path that stays refers to it.
    Referenced,
    /// It, or what needs it, was pinned.
    Pinned,
    /// A client fetched it.
    Fetched,
    /// Its narinfo is another one.
    Changed,
    /// It is gone already.
    Gone,
    /// The bucket refused.
    Failed,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Until every replica knows what is condemned.
    Waiting,
    /// What is condemned is being told to all replicas.
    Marking,
    /// Narinfos go into the trash.
    Trashing,
    /// Narinfos are in the trash, NARs are still there.
    Grace,
    /// NARs are being deleted.
    Deleting,
    /// Everything is done.
    Done,
    /// Narinfos are being put back.
    Undoing,
    /// Somebody stopped it. What is in the trash can be put back as long as its NARs are there.
    Stopped,
    /// It was undone.
    Undone,
}

impl RunState {
    /// Whether the run still does something by itself.
    pub const fn acts(self) -> bool {
        match self {
            Self::Waiting | Self::Marking | Self::Trashing | Self::Deleting | Self::Undoing => true,
            Self::Grace | Self::Done | Self::Stopped | Self::Undone => false,
        }
    }
}

/// Errors of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ErrorGroup {
    /// What went wrong.
    pub words: String,
    /// How often.
    pub count: u64,
    /// One object that it happened to.
    pub example: String,
}

/// A plan being carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The plan.
    pub plan: String,
    /// Who started it.
    pub by: String,
    /// When.
    pub at: String,
    /// When it ended; `null` while it goes on.
    pub ended_at: Option<String>,
    /// How far it is.
    pub state: RunState,
    /// Paths on the list.
    pub total: u64,
    /// Paths looked at in this phase; NARs where those are deleted.
    pub looked_at: u64,
    /// Narinfos that were taken out and are not back.
    pub trashed: u64,
    /// Narinfos put back by undoing it.
    pub restored: u64,
    /// NARs deleted.
    pub deleted: u64,
    /// Bytes freed so far.
    pub freed: u64,
    /// Bytes the plan promised.
    pub predicted: u64,
    /// What stays after all.
    pub left_out: Vec<LeftOut>,
    /// How many paths that are.
    pub left_out_paths: u64,
    /// Bytes that stay because of them.
    pub left_out_bytes: u64,
    /// Errors by kind.
    pub errors: Vec<ErrorGroup>,
    /// Until when it can be undone; `null` where it cannot.
    pub undo_until: Option<String>,
    /// Why it stands still; `null` where it does not.
    pub trouble: Option<String>,
}

/// Plans and runs of a cache, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RetentionHistory {
    /// Plans that were not started and have not expired.
    pub plans: Vec<Plan>,
    /// Runs.
    pub runs: Vec<Run>,
}

/// What taking one path out now would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PurgePreview {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its NAR: with the path what is refused from then on.
    pub nar_hash: String,
    /// Bytes as stored; `null` where unknown.
    pub bytes: Option<u64>,
    /// Other narinfos that name the same NAR, those in the trash included, which therefore stays.
    pub shared_with: u64,
    /// The run in whose trash it lies; `null` where clients can get it.
    pub in_trash: Option<String>,
    /// Paths that refer to it, at most 100.
    pub referrers: Vec<KeepStep>,
    /// How many refer to it.
    pub referrers_total: u64,
    /// Pins that keep it, as `prod@2`.
    pub pins: Vec<String>,
    /// Paths that cannot be fetched whole without it: those whose closures hold it.
    pub affected: u64,
    /// The last day on which it was fetched; `null`: not since measuring began, or not measured.
    pub fetched_at: Option<String>,
    /// A day from which on fetches are measured; `null` where they are not.
    pub measured_since: Option<String>,
    /// Whether the bucket keeps old versions, which go too; `null` where it could not be asked.
    pub versioned: Option<bool>,
    /// Why it cannot be purged; `null` where it can.
    pub refusal: Option<String>,
}

/// Takes a path out now and for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PurgeWish {
    /// Why, 1 to 200 characters.
    pub reason: String,
    /// The `nar_hash` that was shown: another content is not purged.
    pub nar_hash: String,
}

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Purged {
    /// Objects that were deleted.
    pub objects: u64,
    /// Old versions that were deleted; `null` where the bucket could not list them.
    pub versions: Option<u64>,
    /// Bytes that were freed.
    pub freed: u64,
    /// Other paths with the same NAR, which therefore stays: what is in it can still be fetched.
    pub shared_with: u64,
}

/// A path that retention or a person took out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Gone {
    /// Hash part of the store path.
    pub hash: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// Whether it was purged: then it is refused for ever.
    pub purged: bool,
    /// Who did it.
    pub by: String,
    /// When.
    pub at: String,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// The plan; `null` where it was purged.
    pub plan: Option<String>,
    /// The run; `null` where it was purged.
    pub run: Option<String>,
    /// Until when the run can be undone; `null` where it cannot.
    pub undo_until: Option<String>,
}
