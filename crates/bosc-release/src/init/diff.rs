//! A change of a text as people read it: a unified diff, with three lines around each change.
//!
//! Lines are compared by their longest common subsequence. Work and memory are bounded by `CELLS`: of texts with more lines
//! between their common beginning and end, that part is shown as replaced.

/// Lines around a change.
const AROUND: usize = 3;
/// Most cells of the table of common lines.
const CELLS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Same,
    Gone,
    New,
}

/// The diff from `old` to `new`, without its heading; empty when they are equal. Each line begins with ` `, `-`, `+` or `@@`.
pub fn unified(old: &str, new: &str) -> Vec<String> {
    let (a, b): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    if old == new {
        return Vec::new();
    }
    let steps = steps(&a, &b);
    // Where each step is in both texts.
    let (mut at_a, mut at_b) = (0, 0);
    let placed: Vec<(Kind, usize, usize, &str)> = steps
        .into_iter()
        .map(|(kind, line)| {
            let here = (kind, at_a, at_b, line);
            at_a += usize::from(kind != Kind::New);
            at_b += usize::from(kind != Kind::Gone);
            here
        })
        .collect();
    let changed: Vec<usize> =
        placed.iter().enumerate().filter(|(_, s)| s.0 != Kind::Same).map(|(i, _)| i).collect();
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for i in changed {
        let (from, to) = (i.saturating_sub(AROUND), (i + AROUND + 1).min(placed.len()));
        match hunks.last_mut() {
            Some(last) if from <= last.1 => last.1 = to,
            _ => hunks.push((from, to)),
        }
    }
    let mut out = Vec::new();
    for (from, to) in hunks {
        let hunk = placed.get(from..to).unwrap_or_default();
        let Some(first) = hunk.first() else { continue };
        let of_a = hunk.iter().filter(|s| s.0 != Kind::New).count();
        let of_b = hunk.iter().filter(|s| s.0 != Kind::Gone).count();
        // As in every unified diff, an empty range names the line before it.
        let place = |at: usize, n: usize| format!("{},{n}", if n == 0 { at } else { at + 1 });
        out.push(format!("@@ -{} +{} @@", place(first.1, of_a), place(first.2, of_b)));
        for (kind, _, _, line) in hunk {
            let mark = match kind {
                Kind::Same => ' ',
                Kind::Gone => '-',
                Kind::New => '+',
            };
            let text = line.strip_suffix('\n').unwrap_or(line);
            out.push(format!("{mark}{}", text.strip_suffix('\r').unwrap_or(text)));
            if !line.ends_with('\n') {
                out.push("\\ No newline at end of file".to_owned());
            }
        }
    }
    out
}

fn steps<'t>(a: &[&'t str], b: &[&'t str]) -> Vec<(Kind, &'t str)> {
    let same = |(x, y): &(&&str, &&str)| x == y;
    let head = a.iter().zip(b).take_while(same).count();
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    let tail = tail.min(a.len() - head).min(b.len() - head);
    let middle = |all: &[&'t str]| all.get(head..all.len() - tail).unwrap_or_default().to_vec();
    let (ma, mb) = (middle(a), middle(b));
    let mut out: Vec<(Kind, &str)> = a.iter().take(head).map(|l| (Kind::Same, *l)).collect();
    let width = mb.len() + 1;
    if (ma.len() + 1).saturating_mul(width) > CELLS {
        out.extend(ma.iter().map(|l| (Kind::Gone, *l)));
        out.extend(mb.iter().map(|l| (Kind::New, *l)));
    } else {
        // Length of the longest common subsequence of what is behind each pair of places.
        let mut table = vec![0_u32; (ma.len() + 1) * width];
        let get = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
        for (i, x) in ma.iter().enumerate().rev() {
            for (j, y) in mb.iter().enumerate().rev() {
                let longest = if x == y {
                    get(&table, i + 1, j + 1) + 1
                } else {
                    get(&table, i + 1, j).max(get(&table, i, j + 1))
                };
                if let Some(cell) = table.get_mut(i * width + j) {
                    *cell = longest;
                }
            }
        }
        let (mut i, mut j) = (0, 0);
        loop {
            match (ma.get(i), mb.get(j)) {
                (Some(x), Some(y)) if x == y => {
                    out.push((Kind::Same, x));
                    (i, j) = (i + 1, j + 1);
                }
                (Some(x), y) if y.is_none() || get(&table, i + 1, j) >= get(&table, i, j + 1) => {
                    out.push((Kind::Gone, x));
                    i += 1;
                }
                (_, Some(y)) => {
                    out.push((Kind::New, y));
                    j += 1;
                }
                _ => break,
            }
        }
    }
    out.extend(a.iter().skip(a.len() - tail).map(|l| (Kind::Same, *l)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        assert_eq!(
            unified(old, "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
            ["@@ -2,7 +2,7 @@", " 2", " 3", " 4", "-5", "+five", " 6", " 7", " 8"]
        );
        assert_eq!(unified("", "a\n"), ["@@ -0,0 +1,1 @@", "+a"]);
        assert_eq!(
            unified("a\r\nb", "a\r\n"),
            ["@@ -1,2 +1,1 @@", " a", "-b", "\\ No newline at end of file"]
        );
        assert!(unified("a", "a").is_empty());
        assert_eq!(unified(old, &format!("0\n{old}10\n")).iter().filter(|l| l.starts_with("@@")).count(), 2);
        // More than is compared: replaced as a whole.
        let (long, other) = ("x\n".repeat(3000), "y\n".repeat(3000));
        assert_eq!(unified(&long, &other).len(), 6001);
    }

    proptest! {
        #[test]
        fn the_diff_makes_the_new_text_of_the_old_one(a in "[ab\n]{0,40}", b in "[ab\n]{0,40}") {
            let (old, new): (Vec<&str>, Vec<&str>) =
                (a.split_inclusive('\n').collect(), b.split_inclusive('\n').collect());
            let steps = steps(&old, &new);
            let side = |not: Kind| steps.iter().filter(|s| s.0 != not).map(|s| s.1).collect::<Vec<_>>();
            prop_assert_eq!(side(Kind::New), old);
            prop_assert_eq!(side(Kind::Gone), new);
        }
    }
}
