//! The numbers of rules that are filed under one key: most often a single one, which then stands where the key leads.

/// Numbers of rules, ascending.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filed {
    /// The number itself where there is one, else the place of the first among all numbers.
    at: u32,
    count: u32,
}

/// All numbers that do not stand for themselves, list after list.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<u32>);

impl Lists {
    /// Keeps a list.
    pub(super) fn file(&mut self, ids: &[u32]) -> Filed {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        if let [only] = ids {
            return Filed { at: *only, count: 1 };
        }
        let at = number(self.0.len());
        self.0.extend_from_slice(ids);
        Filed { at, count: number(ids.len()) }
    }

    /// A list that was kept.
    pub(super) fn get<'i>(&'i self, filed: &'i Filed) -> &'i [u32] {
        if filed.count == 1 {
            return std::slice::from_ref(&filed.at);
        }
        let from = self.0.get(filed.at as usize..).unwrap_or_default();
        from.get(..filed.count as usize).unwrap_or_default()
    }
}
