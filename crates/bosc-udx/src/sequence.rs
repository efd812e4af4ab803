//! Sequence numbers: 32 bits on the wire, 64 bits inside, so that nothing inside ever wraps.

/// Inside numbers start one wire cycle up: a wire number a little before the first one is still positive.
pub(crate) const BASE: u64 = 1 << 32;

/// The inside number of a stream's first sequence number.
pub(crate) fn first(wire: u32) -> u64 {
    BASE | u64::from(wire)
}

/// The number nearest to `near` whose low 32 bits are `wire`.
pub(crate) fn expand(wire: u32, near: u64) -> u64 {
    let difference = wire.wrapping_sub(near as u32).cast_signed();
    near.saturating_add_signed(i64::from(difference))
}

/// The number as it goes on the wire.
pub(crate) fn wire(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_to_the_nearest() {
        for near in [BASE, BASE + 5, BASE * 2 - 1, BASE * 3 + 77] {
            for offset in [-1000i64, -1, 0, 1, 1000, i64::from(i32::MAX)] {
                let value = near.saturating_add_signed(offset);
                assert_eq!(expand(wire(value), near), value);
            }
        }
    }
}
