//! What a cache's owner pays for its bucket: a setting, kept in the ledger.

use serde::{Deserialize, Serialize};
use snowbank_shared::api::storage::Prices;

use crate::auth::{Access, AccessError, By};
use crate::ledger::kind::{Kind, PRICES, Record};
use crate::ledger::{Ledger, RecordId, Scope};

/// Characters of a currency's name at most.
const CURRENCY: usize = 8;
/// A price at most, in millionths: ten thousand.
const MOST: u64 = 10_000_000_000;

/// The prices as they lie in the ledger, in millionths of the currency's unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricesRecord {
    /// As it is shown: `$`, `EUR`.
    pub currency: String,
    /// 10⁹ bytes kept for a month.
    pub gb_month: u64,
    /// A thousand GETs.
    pub get_1000: u64,
    /// A thousand PUTs and LISTs.
    pub put_1000: u64,
    /// 10⁹ bytes sent out.
    pub egress_gb: u64,
}

impl Record for PricesRecord {
    const KIND: Kind = PRICES;
}

/// The prices of a cache; `None`: nobody set any.
pub fn prices(ledger: &Ledger, cache: &str) -> Option<Prices> {
    let entry = ledger
        .view()
        .get::<PricesRecord>(Scope::Cache(cache), &RecordId::only())?;
    Some(Prices {
        currency: entry.currency.clone(),
        gb_month: entry.gb_month,
        get_1000: entry.get_1000,
        put_1000: entry.put_1000,
        egress_gb: entry.egress_gb,
        revision: entry.sequence,
    })
}

/// What so many bytes cost each month, in millionths of the currency's unit.
pub fn monthly(prices: &Prices, bytes: u64) -> u64 {
    let micros = (u128::from(bytes) * u128::from(prices.gb_month)).div_ceil(1_000_000_000);
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// What is wrong with prices.
fn fault(wish: &Prices) -> Option<String> {
    let currency = wish.currency.trim();
    let fine = (1..=CURRENCY).contains(&currency.chars().count())
        && !currency
            .chars()
            .any(|letter| letter.is_control() || letter.is_whitespace());
    if !fine {
        return Some(format!(
            "A currency is a sign or a short name, such as $ or EUR: 1 to {CURRENCY} characters without spaces."
        ));
    }
    [wish.gb_month, wish.get_1000, wish.put_1000, wish.egress_gb]
        .iter()
        .any(|&price| price > MOST)
        .then(|| "A price is at most 10,000 of the currency's units.".to_owned())
}

/// Changes the prices, where nobody did since that revision was read.
///
/// # Errors
/// Where somebody did, a value cannot be, or the ledger cannot write it.
pub async fn change(
    ledger: &Ledger,
    access: &Access,
    cache: &str,
    wish: &Prices,
    by: &By,
) -> Result<Prices, AccessError> {
    if let Some(fault) = fault(wish) {
        return Err(AccessError::Bad(fault));
    }
    let scope = Scope::Cache(cache);
    let before = ledger.view().get::<PricesRecord>(scope, &RecordId::only());
    if before.as_ref().map_or(0, |before| before.sequence) != wish.revision {
        return Err(AccessError::Conflict);
    }
    let seen = before.map(|before| (*before.record).clone());
    let next = PricesRecord {
        currency: wish.currency.trim().to_owned(),
        gb_month: wish.gb_month,
        get_1000: wish.get_1000,
        put_1000: wish.put_1000,
        egress_gb: wish.egress_gb,
    };
    let entry = ledger
        .put(
            scope,
            &RecordId::only(),
            &by.actor,
            |current: Option<&PricesRecord>| {
                if current != seen.as_ref() {
                    return Err(AccessError::Conflict);
                }
                Ok(next.clone())
            },
        )
        .await?;
    let millionths = |price: u64| format!("{}.{:06}", price / 1_000_000, price % 1_000_000);
    access
        .note_in(
            cache,
            by,
            "prices.change",
            cache,
            &[
                ("currency", next.currency.clone()),
                ("gb_month", millionths(next.gb_month)),
                ("get_1000", millionths(next.get_1000)),
                ("put_1000", millionths(next.put_1000)),
                ("egress_gb", millionths(next.egress_gb)),
            ],
        )
        .await;
    Ok(Prices {
        currency: next.currency,
        revision: entry.sequence,
        ..wish.clone()
    })
}
