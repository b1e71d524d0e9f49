//! Changes examples: bits, bytes, numbers, pieces of themselves and of each other. The same sequence in every run, so that
//! what fails fails again.

/// Values that are on the edge of something.
const EDGES: [u8; 12] = [0, 1, 3, 5, 0x16, 0x20, 0x2e, 0x3a, 0x7f, 0x80, 0xc0, 0xff];

/// Makes inputs without end.
pub(crate) struct Mutator {
    examples: Vec<Vec<u8>>,
    longest: usize,
    state: u64,
}

impl Mutator {
    /// From these examples, of which there is at least one.
    pub(crate) fn new(examples: Vec<Vec<u8>>, longest: usize) -> Self {
        Self { examples, longest, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// xorshift64*: fast, and even enough to choose places.
    fn number(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).unwrap_or(0)
    }

    fn example(&mut self) -> Vec<u8> {
        let chosen = self.below(self.examples.len());
        self.examples[chosen].clone()
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.example();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(self.longest);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below(bytes.len() - at + 1).min(64);
        match self.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let other = self.example();
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1).min(64);
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            4 => bytes.insert(at, EDGES[self.below(EDGES.len())]),
            _ if at == bytes.len() => bytes.push(self.number() as u8),
            5 => bytes[at] ^= 1 << self.below(8),
            6 => bytes[at] = self.number() as u8,
            7 => bytes[at] = EDGES[self.below(EDGES.len())],
            // Lengths are off by a little.
            _ => bytes[at] = bytes[at].wrapping_add(self.below(7) as u8).wrapping_sub(3),
        }
    }
}
