//! The first bytes of many texts in order, searched in few steps: what costs time among very many is memory that nobody
//! has looked at lately, and each step of a plain binary search looks elsewhere.

/// Bytes in a head.
pub(crate) const HEAD: usize = 16;

/// Heads that stand together, and of which one stands in the row above.
const BLOCK: usize = 16;

/// The first bytes of a text, the very first most significant, so that heads sort as their texts do. Missing ones are
/// zero.
pub(crate) fn head_of(text: &[u8]) -> u128 {
    let mut head = [0; HEAD];
    head.iter_mut().zip(text).for_each(|(byte, own)| *byte = *own);
    u128::from_be_bytes(head)
}

/// Heads in ascending order. Rows above them lead to the right block: each has the last head of every block of the row
/// below, and the topmost row is one block.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    all: Vec<u128>,
    /// From the top downwards.
    above: Vec<Vec<u128>>,
}

impl Heads {
    /// Takes heads in ascending order.
    pub(crate) fn new(all: Vec<u128>) -> Self {
        let mut above: Vec<Vec<u128>> = Vec::new();
        let mut row: &[u128] = &all;
        while row.len() > BLOCK {
            above.push(row.chunks(BLOCK).filter_map(|block| block.last().copied()).collect());
            row = above.last().map_or(&[], Vec::as_slice);
        }
        above.reverse();
        Self { all, above }
    }

    /// How many are below this one.
    pub(crate) fn below(&self, head: u128) -> usize {
        let rows = self.above.iter().chain([&self.all]);
        rows.fold(0, |block, row| {
            // Beyond the last block, all are below.
            let start = (block * BLOCK).min(row.len());
            let rest = row.get(start..).unwrap_or_default();
            let block = rest.get(..BLOCK).unwrap_or(rest);
            start + block.partition_point(|own| *own < head)
        })
    }

    /// The head at a place.
    pub(crate) fn get(&self, at: usize) -> Option<u128> {
        self.all.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_is_counted() {
        for count in [0_u128, 1, 2, 15, 16, 17, 255, 256, 257, 4095, 4097, 70_000] {
            let heads = Heads::new((0..count).map(|number| number * 3 + 1).collect());
            let step = usize::try_from(count / 500 + 1).expect("a small number");
            for head in (0..count * 3 + 5).step_by(step) {
                let expected = head.saturating_add(1) / 3;
                assert_eq!(heads.below(head) as u128, expected.min(count), "{head} of {count}");
            }
        }
    }

    #[test]
    fn of_equal_ones_none_is_below() {
        let heads = Heads::new([vec![1; 40], vec![7; 40], vec![9; 40]].concat());
        assert_eq!([0, 1, 2, 7, 8, 9, 10].map(|head| heads.below(head)), [0, 0, 40, 40, 80, 80, 120]);
    }

    #[test]
    fn heads_sort_as_their_texts() {
        let texts: [&[u8]; 6] = [b"", b"+49", b"+491", b"+5", b"0123456789abcde", b"0123456789abcdef"];
        assert!(texts.is_sorted_by_key(|text| head_of(text)));
        assert_eq!(head_of(b"0123456789abcdef"), head_of(b"0123456789abcdefg"));
    }
}
