//! "Did you mean": the known word closest to one that was mistyped.

/// No configuration key is longer; comparing more would only cost time.
const MAX_CHARS: usize = 64;

/// The known word that `found` was most likely meant to be, or `None` when no word is near.
///
/// Near means: after ignoring case, at most one slip (a letter missing, added, wrong, or two swapped) for every three
/// letters. Of equally near words the first wins.
///
/// ```
/// assert_eq!(routing_rules::nearest("lisener", &["zone", "listener"]), Some("listener"));
/// assert_eq!(routing_rules::nearest("colour", &["zone", "listener"]), None);
/// ```
pub fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.chars().nth(MAX_CHARS).is_some() {
        return None;
    }
    let found = lower(found);
    known
        .iter()
        .filter(|word| word.len() <= MAX_CHARS)
        .map(|word| (slips(&found, &lower(word)), *word))
        .filter(|(slips, word)| *slips <= (word.chars().count() / 3).max(1))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| word)
}

fn lower(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment distance, row by row: a row needs only the two above it.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut char_above = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        let mut left = i + 1;
        row.push(left);
        let mut char_left = None;
        let mut diagonals = above.windows(2);
        let mut swaps = two_above.iter();
        for &y in b {
            let (diagonal, up) = match diagonals.next() {
                Some(&[diagonal, up]) => (diagonal, up),
                _ => break,
            };
            let mut best = (diagonal + usize::from(x != y)).min(up + 1).min(left + 1);
            if char_left.is_some() {
                let before_swap = swaps.next();
                if char_above == Some(y) && char_left == Some(x) {
                    best = before_swap.map_or(best, |before| best.min(before + 1));
                }
            }
            row.push(best);
            left = best;
            char_left = Some(y);
        }
        two_above = std::mem::replace(&mut above, row);
        char_above = Some(x);
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &str, b: &str) -> usize {
        slips(&lower(a), &lower(b))
    }

    #[test]
    fn slips_are_counted() {
        assert_eq!(distance("match", "match"), 0);
        assert_eq!(distance("", "match"), 5);
        assert_eq!(distance("match", ""), 5);
        assert_eq!(distance("macth", "match"), 1);
        assert_eq!(distance("amtch", "match"), 1);
        assert_eq!(distance("matc", "match"), 1);
        assert_eq!(distance("matchh", "match"), 1);
        assert_eq!(distance("metch", "match"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn case_is_no_slip() {
        assert_eq!(nearest("invite", &["ACK", "INVITE"]), Some("INVITE"));
    }

    #[test]
    fn of_two_near_words_the_nearer_wins() {
        assert_eq!(nearest("tsl", &["tcp", "tls"]), Some("tls"));
    }

    #[test]
    fn a_strange_word_has_no_neighbour() {
        assert_eq!(nearest("frobnicate", &["name", "match", "route"]), None);
        assert_eq!(nearest("name", &[]), None);
        assert_eq!(nearest(&"n".repeat(10_000), &["name"]), None);
    }
}
