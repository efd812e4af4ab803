//! How much of others' links is kept at most: `seed --max-disk`.
//!
//! A link is fetched up to a head only when all of that head fits beside what is here. So the bound holds whatever comes, and a
//! link that does not fit costs nothing: what is here of it stays and is served.
//!
//! Counted are the bytes of blocks of links that this store does not write, older versions included. The tree and the database come
//! on top: about a hundredth.

/// What a link would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Bytes that are here.
    pub(super) held: u64,
    /// Bytes with all blocks of the newest heads.
    pub(super) whole: u64,
}

/// Which links fit, in the order given; each may be fetched up to its present heads, the others not at all.
pub(super) fn fits(needs: &[Need], most: u64) -> Vec<bool> {
    let mut total = needs.iter().fold(0u64, |sum, n| sum.saturating_add(n.held));
    needs
        .iter()
        .map(|need| {
            let more = need.whole.saturating_sub(need.held);
            // What is whole already needs nothing, even where the bound was made smaller.
            let fits = more == 0 || total.saturating_add(more) <= most;
            if fits {
                total = total.saturating_add(more);
            }
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(held: u64, whole: u64) -> Need {
        Need { held, whole }
    }

    #[test]
    fn the_first_ones_fit_and_a_smaller_one_behind_a_large_one_does_too() {
        assert_eq!(fits(&[need(0, 60), need(0, 50), need(0, 40)], 100), [true, false, true]);
        assert_eq!(fits(&[need(0, 101)], 100), [false]);
        assert_eq!(fits(&[need(0, 100)], 100), [true]);
    }

    #[test]
    fn what_is_here_counts_whoever_it_is_of() {
        assert_eq!(fits(&[need(0, 60), need(50, 80)], 100), [false, true]);
        assert_eq!(fits(&[need(0, 50), need(50, 50)], 100), [true, true]);
        assert_eq!(fits(&[need(90, 90), need(20, 20), need(0, 1)], 100), [true, true, false]);
    }

    #[test]
    fn nothing_is_ever_fetched_beyond_the_bound() {
        // Whatever is held and grows: what is held and may still come stays below it, if it was below it before.
        let mut state = 12345u64;
        let mut random = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..2000 {
            let needs: Vec<Need> = (0..1 + random(6))
                .map(|_| {
                    let held = random(20);
                    need(held, held + random(60))
                })
                .collect();
            let held: u64 = needs.iter().map(|n| n.held).sum();
            let most = held + random(100);
            let may = fits(&needs, most);
            let worst: u64 =
                needs.iter().zip(&may).map(|(n, fits)| if *fits { n.whole } else { n.held }).sum();
            assert!(worst <= most, "{needs:?} {may:?} {most}");
        }
    }

    #[test]
    fn claims_without_end_do_not_overflow() {
        assert_eq!(fits(&[need(1, u64::MAX), need(u64::MAX, u64::MAX)], 100), [false, true]);
    }
}
