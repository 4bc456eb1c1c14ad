//! Curves as SVG, both axes by powers of ten.

use std::fmt::Write;

use super::outcome::{Curve, Plot};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Told apart by who does not see red and green, too (Okabe and Ito).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];

/// Powers of ten that hold all numbers.
struct Axis {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(numbers: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let positive = numbers.filter(|number| *number > 0.0);
        let low = positive.clone().fold(f64::INFINITY, f64::min);
        let high = positive.fold(1.0, f64::max);
        let low = if low.is_finite() {
            low.log10().floor() as i32
        } else {
            0
        };
        let high = (high.log10().ceil() as i32).max(low + 1);
        Self {
            low,
            high,
            from,
            to,
        }
    }

    fn place(&self, number: f64) -> f64 {
        let part = (number.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    fn marks(&self) -> impl Iterator<Item = (f64, String)> {
        (self.low..=self.high).map(|power| {
            let number = 10_f64.powi(power);
            (self.place(number), label(power))
        })
    }
}

fn label(power: i32) -> String {
    match power {
        9.. => format!("{} G", 10_u64.pow(power.unsigned_abs() - 9)),
        6..9 => format!("{} M", 10_u64.pow(power.unsigned_abs() - 6)),
        3..6 => format!("{} k", 10_u64.pow(power.unsigned_abs() - 3)),
        0..3 => 10_u64.pow(power.unsigned_abs()).to_string(),
        _ => format!("{}", 10_f64.powi(power)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The file's text.
pub(crate) fn svg(plot: &Plot) -> String {
    let points = || {
        plot.curves
            .iter()
            .flat_map(|curve| curve.points.iter().copied())
    };
    let across = Axis::over(points().map(|(x, _)| x), LEFT, WIDTH - RIGHT);
    let up = Axis::over(points().map(|(_, y)| y), HEIGHT - BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut put = |line: String| {
        svg.push_str(&line);
        svg.push('\n');
    };
    put(format!(
        "<text x=\"{LEFT}\" y=\"22\" font-size=\"14\" font-weight=\"bold\">{}</text>",
        escaped(&plot.title)
    ));
    for (x, text) in across.marks() {
        put(format!(
            "<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{text}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 16.0
        ));
    }
    for (y, text) in up.marks() {
        put(format!(
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{text}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        ));
    }
    put(format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 12.0,
        escaped(&plot.x)
    ));
    let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
    put(format!(
        "<text x=\"16\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle:.1})\">{}</text>",
        escaped(&plot.y)
    ));
    for (number, (curve, colour)) in plot.curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
        put(line(curve, colour, &across, &up));
        let y = TOP + 14.0 + 34.0 * number as f64;
        let x = WIDTH - RIGHT + 14.0;
        put(format!(
            "<path d=\"M{x} {:.1}h18\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{y:.1}\">{}</text>\
             <text x=\"{}\" y=\"{:.1}\" fill=\"#555\">grows by x^{:.2}</text>",
            y - 4.0,
            x + 24.0,
            escaped(&curve.name),
            x + 24.0,
            y + 15.0,
            curve.exponent()
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(curve: &Curve, colour: &str, across: &Axis, up: &Axis) -> String {
    let mut path = String::new();
    let mut dots = String::new();
    let seen = curve.points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
    for (number, &(x, y)) in seen.enumerate() {
        let (x, y) = (across.place(x), up.place(y));
        let command = if number == 0 { 'M' } else { 'L' };
        // A String takes all that is written.
        let _ = write!(path, "{command}{x:.1} {y:.1}");
        let _ = write!(
            dots,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
        );
    }
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_its_curves_and_marks_powers_of_ten() {
        let plot = Plot {
            name: "n".to_owned(),
            title: "a < b".to_owned(),
            x: "headers".to_owned(),
            y: "fuel".to_owned(),
            curves: vec![Curve {
                name: "one".to_owned(),
                points: vec![(10.0, 100.0), (100.0, 1_000.0), (1_000.0, 10_000.0)],
            }],
        };
        let svg = svg(&plot);
        assert!(svg.contains("a &lt; b"), "{svg}");
        assert!(svg.contains(">1 k</text>"), "{svg}");
        assert!(svg.contains("grows by x^1.00"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
    }
}
