//! Numbers of RFC 1951.

pub(super) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
pub(super) const DISTANCE_EXTRA: [u8; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
pub(super) const CODE_EXTRA: [u8; 19] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
/// In which order the lengths of the codes for lengths are.
pub(super) const CODE_ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The code of a length less 3, and the length that the code begins with.
pub(super) fn length_code(length: u8) -> (u16, u8) {
    match length {
        255 => (28, 0),
        0..8 => (u16::from(length), length),
        _ => {
            let bits = 7 - length.leading_zeros() as u16 - 2;
            let code = 4 * bits + 4 + (u16::from(length) >> bits & 3);
            (code, (4 + (length >> bits & 3)) << bits)
        }
    }
}

/// The code of a distance less 1, and the distance that the code begins with.
pub(super) fn distance_code(distance: u16) -> (u16, u16) {
    if distance < 4 {
        return (distance, distance);
    }
    let bits = 15 - distance.leading_zeros() as u16 - 1;
    let code = 2 * bits + 2 + (distance >> bits & 1);
    (code, (2 + (distance >> bits & 1)) << bits)
}
