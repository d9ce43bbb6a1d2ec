//! What it costs: the owner's prices, and what is stored at them, by class and by month. Money is in
//! millionths of the currency's unit until it is shown.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::storage::{Prices, SizeDay, Storage};
use snowbank_shared::route::escape;

use super::Usage;
use super::storage::class_word;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::dialog::dialog;
use crate::components::field::{Field, text_field};
use crate::components::layout::{section, table};
use crate::components::size::size;
use crate::format;
use crate::state::identity::{Identity, identity};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// Bytes of a GB, as stores charge.
const GB: u128 = 1_000_000_000;

/// Money in words: two figures behind the point, more where it would be nothing.
pub fn money(currency: &str, micros: u128) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let currency = format::visible(currency);
    if whole == 0 && rest > 0 && rest < 10_000 {
        format!("{currency} 0.{rest:06}")
    } else {
        let cents = (rest + 5_000) / 10_000;
        format!("{currency} {}.{:02}", whole + cents / 100, cents % 100)
    }
}

/// Bytes at a price of so much a GB (10⁹ bytes).
pub(super) fn at_price(bytes: u64, micros: u64) -> u128 {
    (u128::from(bytes) * u128::from(micros)).div_ceil(GB)
}

/// What somebody typed, in millionths.
fn millionths(text: &str) -> Option<u64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 || whole.len() + part.len() == 0 {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(part)
}

/// The same way back, as short as it can be.
fn typed(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A month of the range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Month {
    /// `2026-11`
    name: String,
    /// Days of it that were measured.
    measured: u64,
    /// Days that it has.
    days: u64,
    /// Bytes stored on these days, added up.
    bytes: u128,
}

/// Days of `2026-11`.
fn days_of(month: &str) -> Option<u64> {
    let (year, month) = month.split_once('-')?;
    let (year, month): (u64, u64) = (year.parse().ok()?, month.parse().ok()?);
    Some(match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    })
}

/// The months of these days, oldest first.
fn months(days: &[SizeDay]) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    for day in days {
        let name = day.day.get(..7).unwrap_or_default();
        let Some(length) = days_of(name) else {
            continue;
        };
        if months.last().is_none_or(|month| month.name != name) {
            months.push(Month {
                name: name.to_owned(),
                measured: 0,
                days: length,
                bytes: 0,
            });
        }
        if let Some(month) = months.last_mut() {
            let known = day.classes.iter().filter_map(|class| class.bytes);
            month.measured += 1;
            month.bytes += known.map(u128::from).sum::<u128>();
        }
    }
    months
}

impl Month {
    /// What its measured days cost, in millionths.
    fn cost(&self, gb_month: u64) -> u128 {
        (self.bytes * u128::from(gb_month)).div_ceil(GB * u128::from(self.days))
    }

    /// Bytes on an average day.
    fn average(&self) -> u64 {
        let average = self.bytes / u128::from(self.measured.max(1));
        u64::try_from(average).unwrap_or(u64::MAX)
    }
}

/// The prices of a cache and how they are changed. Copy it freely.
#[derive(Clone, Copy)]
pub(super) struct Pricing {
    usage: Usage,
    answer: Remote<Storage>,
    identity: Identity,
    open: RwSignal<bool>,
    sending: Sending,
}

impl Pricing {
    pub(super) fn new(usage: Usage, answer: Remote<Storage>) -> Self {
        Self {
            usage,
            answer,
            identity: identity(),
            open: RwSignal::new(false),
            sending: Sending::new(),
        }
    }

    /// The question for the prices, and what came of it.
    pub(super) fn form(self) -> AnyView {
        view! {
            {self.sending.notice()}
            {dialog("Prices", self.open, move || self.fields())}
        }
        .into_any()
    }

    fn fields(self) -> AnyView {
        let known = self
            .answer
            .get_now()
            .and_then(|answer| answer.prices.clone());
        let revision = known.as_ref().map_or(0, |prices| prices.revision);
        let currency = Field::new("Currency", "A sign or a short name, such as $ or EUR.");
        currency.value.set(
            known
                .as_ref()
                .map_or("$".to_owned(), |prices| prices.currency.clone()),
        );
        let field = |label, hint, of: fn(&Prices) -> u64| {
            let field = Field::new(label, hint);
            let text = known
                .as_ref()
                .map_or_else(String::new, |prices| typed(of(prices)));
            field.value.set(text);
            field
        };
        let prices = [
            field(
                "A GB kept for a month",
                "10⁹ bytes. Such as 0.023.",
                |prices| prices.gb_month,
            ),
            field("A thousand GETs", "Empty: nothing.", |prices| {
                prices.get_1000
            }),
            field("A thousand PUTs or LISTs", "Empty: nothing.", |prices| {
                prices.put_1000
            }),
            field("A GB sent", "10⁹ bytes. Empty: nothing.", |prices| {
                prices.egress_gb
            }),
        ];
        let go = move || {
            let mut micros = [0; 4];
            let mut wrong = false;
            for (field, micros) in prices.iter().zip(&mut micros) {
                let text = field.value.get_untracked();
                match millionths(if text.trim().is_empty() { "0" } else { &text }) {
                    Some(price) => *micros = price,
                    None => {
                        wrong = true;
                        let words = "A price is a number such as 0.023, with six figures behind the point at most.";
                        field.error.set(Some(words.to_owned()));
                    }
                }
            }
            if currency.value.with_untracked(|text| text.trim().is_empty()) {
                wrong = true;
                currency.error.set(Some("Name the currency.".to_owned()));
            }
            if wrong {
                return;
            }
            let [gb_month, get_1000, put_1000, egress_gb] = micros;
            let wish = Prices {
                currency: currency.value.get_untracked(),
                gb_month,
                get_1000,
                put_1000,
                egress_gb,
                revision,
            };
            // The question stays until the server took the answer: what it refuses stands beside what was typed.
            let path = prices_path(&self.usage.cache.get_value());
            self.sending.send("PUT", path, json(&wish), move |_| {
                self.open.set(false);
                self.sending
                    .done
                    .set(Some("The prices are set.".to_owned()));
                self.answer.reload();
            });
        };
        view! {
            <p>"What you pay. It is used for the figures of this cache, and sent to nobody."</p>
            <div class="form">
                {text_field(currency, "text", "off")}
                {prices.map(|field| text_field(field, "text", "off")).into_iter().collect_view()}
            </div>
            {self.sending.notice()}
            <div class="dialog-actions">
                {button(Weight::Plain, None, "Cancel", move || self.open.set(false))}
                {button_when(Weight::Primary, None, "Save the prices", move || self.readiness(), go)}
            </div>
        }
        .into_any()
    }

    /// The button, for whom it is; the others read who can.
    fn change(self) -> AnyView {
        let open = move || {
            self.sending.forget();
            self.open.set(true);
        };
        button_when(
            Weight::Plain,
            None,
            "Set prices…",
            move || self.readiness(),
            open,
        )
    }

    /// Whether they can be set; tracked.
    fn readiness(self) -> Readiness {
        let cache = self.usage.cache.get_value();
        self.sending
            .readiness(self.identity.readiness(Some(&cache), Act::Manage))
    }

    /// What is stored, at these prices.
    pub(super) fn costs(self, answer: &Storage) -> AnyView {
        let Some(prices) = &answer.prices else {
            let words = view! {
                <p class="usage-note">
                    "No prices are set, so nothing is said about money. Stores charge differently: an owner sets what this bucket costs."
                </p>
            };
            return section("Cost", self.change(), words);
        };
        let body = view! {
            <p class="usage-note">"At " {price_words(prices)} "."</p>
            <div class="usage-charts">{by_class(answer, prices)} {by_month(answer, prices)}</div>
        };
        section("Cost", self.change(), body)
    }
}

/// `/caches/{cache}/prices`
pub(super) fn prices_path(cache: &str) -> String {
    format!("/caches/{}/prices", escape(cache))
}

fn price_words(prices: &Prices) -> String {
    let of = |micros: u64| money(&prices.currency, u128::from(micros));
    format!(
        "{} a GB and month, {} a thousand GETs, {} a thousand PUTs or LISTs, {} a GB sent",
        of(prices.gb_month),
        of(prices.get_1000),
        of(prices.put_1000),
        of(prices.egress_gb)
    )
}

/// A month of what is there now.
fn by_class(answer: &Storage, prices: &Prices) -> AnyView {
    let row = |word: &'static str, bytes: u64| {
        let cost = money(&prices.currency, at_price(bytes, prices.gb_month));
        view! {
            <tr>
                <th scope="row" class="grow">{word}</th>
                <td class="number" data-label="Stored">{size(bytes)}</td>
                <td class="number" data-label="A month">{cost}</td>
            </tr>
        }
    };
    let rows = answer
        .classes
        .iter()
        .filter_map(|class| Some((class.class, class.bytes.filter(|bytes| *bytes > 0)?)))
        .map(|(class, bytes)| row(class_word(class), bytes))
        .collect_view();
    let columns = [
        ("Class", "grow", ""),
        ("Stored", "number", "Bytes as billed, now"),
        ("A month", "number", "If it stays as it is"),
    ];
    let rows = view! { {rows} {row("Everything", answer.stored)} };
    table("Cost of a month by class", "table", &columns, rows)
}

/// What the months of the range cost, as far as they were measured.
fn by_month(answer: &Storage, prices: &Prices) -> Option<AnyView> {
    let months = months(&answer.days);
    if months.is_empty() {
        return None;
    }
    let rows = months
        .iter()
        .map(|month| {
            let cost = money(&prices.currency, month.cost(prices.gb_month));
            view! {
                <tr>
                    <th scope="row" class="grow">{month.name.clone()}</th>
                    <td class="number" data-label="Days">{format!("{} of {}", month.measured, month.days)}</td>
                    <td class="number" data-label="Stored">{size(month.average())}</td>
                    <td class="number" data-label="Cost">{cost}</td>
                </tr>
            }
        })
        .collect_view();
    let columns = [
        ("Month", "grow", ""),
        (
            "Days",
            "number",
            "Days of the range that were measured; the others are not in the cost",
        ),
        ("Stored", "number", "On an average day of these"),
        (
            "Cost",
            "number",
            "Storage on these days, at the prices of now",
        ),
    ];
    Some(table("Cost of storage by month", "table", &columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::storage::{ClassSize, ObjectClass};

    #[test]
    fn money_is_exact_and_small_sums_are_not_nothing() {
        assert_eq!(money("$", 0), "$ 0.00");
        assert_eq!(money("$", 400), "$ 0.000400");
        assert_eq!(money("$", 23_000), "$ 0.02");
        assert_eq!(money("EUR", 3_309_999), "EUR 3.31");
        assert_eq!(money("$", 999_995_000), "$ 1000.00");
        // 412 GB at 0.023 a month.
        assert_eq!(at_price(412_000_000_000, 23_000), 9_476_000);
        assert_eq!(at_price(1, 23_000), 1);
        assert_eq!(at_price(0, 23_000), 0);
    }

    #[test]
    fn prices_are_typed_to_the_millionth_and_nothing_is_guessed() {
        for (text, micros) in [
            ("0.023", 23_000),
            (" 5 ", 5_000_000),
            (".5", 500_000),
            ("0.000001", 1),
            ("0", 0),
        ] {
            assert_eq!(millionths(text), Some(micros), "{text}");
            assert_eq!(millionths(&typed(micros)), Some(micros), "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "1,5",
            "1e3",
            "0.0000001",
            "0x1",
            "99999999999999999999",
        ] {
            assert_eq!(millionths(text), None, "{text}");
        }
        assert_eq!(typed(23_000), "0.023");
        assert_eq!(typed(10_000_000), "10");
    }

    #[test]
    fn a_month_costs_what_its_measured_days_held() {
        let day = |day: &str, bytes| SizeDay {
            day: day.to_owned(),
            classes: vec![ClassSize {
                class: ObjectClass::Nar,
                objects: Some(1),
                bytes: Some(bytes),
                unknown: None,
            }],
            unpacked: 0,
            added: None,
        };
        let gb = 1_000_000_000;
        let months = months(&[
            day("2026-10-31", 310 * gb),
            day("2026-11-01", 100 * gb),
            day("2026-11-02", 200 * gb),
        ]);
        let told: Vec<_> = months
            .iter()
            .map(|month| {
                (
                    &*month.name,
                    month.measured,
                    month.days,
                    month.average() / gb,
                )
            })
            .collect();
        assert_eq!(told, [("2026-10", 1, 31, 310), ("2026-11", 2, 30, 150)]);
        // One of 31 days with 310 GB is a month of 10.
        assert_eq!(months[0].cost(23_000), 230_000);
        assert_eq!(months[1].cost(23_000), 230_000);
        assert_eq!(days_of("2028-02"), Some(29));
        assert_eq!(days_of("2100-02"), Some(28));
        assert_eq!(days_of("2026-13"), None);
    }
}
