//! Randomness that is the same everywhere: the same seed gives the same
//! numbers on every machine and in every later version of this program.
//!
//! So the generator is our own (xoshiro256**, seeded by SplitMix64), and the
//! distributions use only operations whose results IEEE 754 fixes to the last
//! bit: `+ - × ÷ √`, but no `exp`, `ln` or `pow`, which differ between libraries.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut split = seed;
        Self {
            state: std::array::from_fn(|_| {
                split = split.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut word = split;
                word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                word ^ (word >> 31)
            }),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Evenly distributed in 0 ≤ x < 1.
    pub fn unit(&mut self) -> f64 {
        // 53 bits, exactly representable.
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Evenly distributed in 0 ≤ x < `end`. `end` must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Multiply and shift; the bias of 2^-64 × end does not matter here.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// One of `items`, which must not be empty.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Approximately normal with this mean and deviation: the sum of twelve even numbers.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        mean + (sum - 6.0) * deviation
    }

    /// Random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A distribution given by its quantiles: (share, value) in increasing order
/// from share 0 to share 1.
#[derive(Debug, Clone, Copy)]
pub struct Quantiles(pub &'static [(f64, f64)]);

impl Quantiles {
    /// Draws a value, interpolating evenly between the quantiles.
    pub fn linear(&self, random: &mut Random) -> f64 {
        let (low, high, part) = self.segment(random.unit());
        low + (high - low) * part
    }

    /// Draws a value, interpolating by ratio between the quantiles, as befits sizes.
    pub fn by_ratio(&self, random: &mut Random) -> f64 {
        let (low, high, part) = self.segment(random.unit());
        low * power(high / low, part)
    }

    /// The quantiles around `share` and how far between them it lies, 0 to 1.
    fn segment(&self, share: f64) -> (f64, f64, f64) {
        let last = self.0.len() - 1;
        let at = self
            .0
            .iter()
            .position(|&(end, _)| share <= end)
            .unwrap_or(last)
            .max(1);
        let ((start, low), (end, high)) = (self.0[at - 1], self.0[at]);
        let part = if end > start {
            (share - start) / (end - start)
        } else {
            0.0
        };
        (low, high, part)
    }
}

/// `base` to the power of `part`, 0 ≤ `part` ≤ 1, by repeated square roots.
fn power(base: f64, part: f64) -> f64 {
    let (mut root, mut part, mut result) = (base, part, 1.0);
    for _ in 0..30 {
        root = root.sqrt();
        part *= 2.0;
        if part >= 1.0 {
            part -= 1.0;
            result *= root;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        // xoshiro256** with the state that SplitMix64 makes of 0; the first
        // two numbers are published with the reference implementation.
        let mut random = Random::new(0);
        assert_eq!(random.bits(), 0x99ec_5f36_cb75_f2b4);
        assert_eq!(random.bits(), 0xbf6e_1f78_4956_452a);
    }

    #[test]
    fn powers_and_quantiles() {
        for part in [0.0, 0.1, 0.5, 0.77, 0.999] {
            assert!((power(150.0, part) / 150_f64.powf(part) - 1.0).abs() < 1e-6);
        }
        let quantiles = Quantiles(&[(0.0, 1.0), (0.5, 10.0), (1.0, 1000.0)]);
        let mut random = Random::new(1);
        let mut drawn: Vec<f64> = (0..20_000)
            .map(|_| quantiles.by_ratio(&mut random))
            .collect();
        drawn.sort_by(f64::total_cmp);
        assert!((drawn[10_000] - 10.0).abs() < 1.0 && drawn[0] >= 1.0 && drawn[19_999] <= 1000.0);
        assert!((drawn[15_000] - 100.0).abs() < 15.0);
    }

    #[test]
    fn normal_has_its_mean_and_deviation() {
        let mut random = Random::new(2);
        let drawn: Vec<f64> = (0..20_000).map(|_| random.normal(5.0, 2.0)).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let variance = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!((mean - 5.0).abs() < 0.06 && (variance.sqrt() - 2.0).abs() < 0.06);
    }
}
