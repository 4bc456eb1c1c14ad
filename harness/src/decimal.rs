//! Numbers as text, without the machinery of `format!`: a stream writes several.

/// A number in decimal digits.
#[derive(Clone, Copy)]
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn of(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = digit(number % 10);
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Writes a number over `place`, with zeros in front; digits that do not fit are left out.
pub(crate) fn fill(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = digit(number % 10);
        number /= 10;
    }
}

/// The same in hexadecimal.
pub(crate) fn fill_hexadecimal(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = digit(number % 16);
        number /= 16;
    }
}

fn digit(number: u64) -> u8 {
    b"0123456789abcdef"[(number % 16) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_format_writes_them() {
        for number in [0, 7, 10, 200, 1_767_225_600, u64::MAX] {
            assert_eq!(
                Decimal::of(number).as_bytes(),
                number.to_string().as_bytes()
            );
            let mut place = [b' '; 20];
            fill(&mut place, number);
            assert_eq!(place, *format!("{number:020}").as_bytes());
            let mut place = [b' '; 16];
            fill_hexadecimal(&mut place, number);
            assert_eq!(place, *format!("{number:016x}").as_bytes());
        }
    }
}
