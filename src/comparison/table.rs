//! The table of a comparison: one row per run, aligned for terminals or as Markdown.

use simile_validation::Verdict;
use simile_validation::metrics::{Estimate, LikelihoodMetrics};
use simile_validation::plots::format::{count, significant, with_error};

use super::{Comparison, DeviationRecord, RunRecord, mean};
use crate::pipeline::duration;
use crate::sampling::Rate;

/// Characters of a line on a terminal; names of runs are cut for it.
const TERMINAL_WIDTH: usize = 120;
/// A name is cut to no less than this.
const SHORTEST_NAME: usize = 8;
const COLUMN_GAP: usize = 2;
const NOTHING: &str = "–";

/// Figures of all rows under one heading. A terminal shows the figures of `below` in a second line of each row.
struct Column {
    heading: String,
    cells: Vec<String>,
    below: Option<Below>,
}

/// What stands in the second line.
struct Below {
    heading: String,
    cells: Vec<String>,
}

impl Comparison {
    /// The table as Markdown, with how to read it.
    pub fn markdown(&self) -> String {
        let columns: Vec<(String, Vec<String>)> = self
            .columns()
            .into_iter()
            .flat_map(|column| {
                let below = column.below.map(|below| (below.heading, below.cells));
                std::iter::once((column.heading, column.cells)).chain(below)
            })
            .collect();
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut text = String::from("# Comparison of runs\n\n");
        text += &line(columns.iter().map(|(heading, _)| heading.as_str()).collect());
        text += &line((0..columns.len()).map(|i| if i == 0 { "---" } else { "---:" }).collect());
        for row in 0..=self.runs.len() {
            let cells: Vec<String> =
                columns.iter().map(|(_, cells)| cells[row].replace('|', "\\|")).collect();
            text += &line(cells.iter().map(String::as_str).collect());
        }
        text += "\nErrors are standard errors, for rates the spread of repeated measurements. The floor is the figure for \
                 truth against truth. Rates and speed-up are those of one core.\n";
        for difference in &self.differences {
            text += &format!("\nNot judged alike: {difference}.\n");
        }
        text
    }

    /// The table for a terminal: headings, a rule, and rows of two lines.
    pub fn text(&self) -> String {
        let mut columns: Vec<[Vec<String>; 2]> = self.columns().into_iter().map(lines).collect();
        let width = |column: &[Vec<String>; 2]| {
            column.iter().flatten().map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let others: usize = columns[1..].iter().map(|column| width(column) + COLUMN_GAP).sum();
        let room = TERMINAL_WIDTH.saturating_sub(others).max(SHORTEST_NAME);
        columns[0].iter_mut().flatten().for_each(|cell| *cell = cut(cell, room));
        let widths: Vec<usize> = columns.iter().map(width).collect();
        let mut text = String::new();
        let rule = "─".repeat(widths.iter().sum::<usize>() + COLUMN_GAP * (widths.len() - 1));
        for row in 0..columns[0][0].len() {
            if row == 1 {
                text += &format!("{rule}\n");
            }
            for line in 0..2 {
                let cells = columns.iter().zip(&widths).enumerate().map(|(index, (column, width))| {
                    let cell = &column[line][row];
                    if index == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                });
                let cells: Vec<String> = cells.collect();
                let line = cells.join(&" ".repeat(COLUMN_GAP));
                if !line.trim().is_empty() {
                    text += line.trim_end();
                    text.push('\n');
                }
            }
        }
        text
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![self.column("run", "floor", |run| run.name.clone())];
        columns[0].below = Some(self.below("model", |run| run.model.clone()));
        for view in self.views() {
            let floor = self.floor(view).map_or(NOTHING.into(), estimate);
            columns.push(self.column(&format!("AUC {view}"), &floor, |run| {
                run.classifier(view).map_or(NOTHING.into(), |classifier| estimate(classifier.auc))
            }));
        }
        columns.extend(self.deviations("response %", |run| run.response.as_ref()));
        columns.extend(self.deviations("σ/E %", |run| run.resolution.as_ref()));
        columns.extend(self.images());
        let floors: f64 = self.runs.iter().map(|run| run.separation_power.floor).sum();
        let floor = significant(floors / self.runs.len() as f64, 2);
        columns.push(self.column("separation power", &floor, |run| {
            with_error(run.separation_power.value, run.separation_power.error)
        }));
        columns.extend(self.likelihoods());
        let mut size = self.column("parameters", "", |run| count(run.parameters));
        size.below = Some(self.below("training", |run| duration(run.training_seconds)));
        let mut speed = self.column("10³/s by 1", "", |run| rate(&run.single));
        let batch = self.runs.first().map_or(0, |run| run.chunk.batch);
        speed.below = Some(self.below(&format!("by {batch}"), |run| rate(&run.chunk)));
        columns.extend([size, speed]);
        if self.runs.iter().any(|run| run.speed_up.is_some()) {
            let times =
                |run: &RunRecord| run.speed_up.map(|speed_up| format!("{}×", significant(speed_up.value, 3)));
            columns.push(self.column("speed-up", "", |run| times(run).unwrap_or(NOTHING.into())));
        }
        let mut gates = self.column("verdict", "", |run| verdict(run).into());
        gates.below = Some(self.below("gates", |run| format!("{}/{}", run.gates.passed, run.gates.all)));
        columns.push(gates);
        columns
    }

    /// The log-likelihood, or the bits it is for numbers on a grid, and below it the bound; none where no run has one.
    fn likelihoods(&self) -> Vec<Column> {
        let of = |figure: fn(&LikelihoodMetrics) -> Option<Estimate>| {
            move |run: &RunRecord| run.likelihood.as_ref().and_then(figure).map(estimate)
        };
        let bits = of(|likelihood| likelihood.bits_per_dimension);
        let nats =
            of(|likelihood| likelihood.bits_per_dimension.is_none().then_some(likelihood.log_likelihood));
        let elbo = of(|likelihood| likelihood.elbo);
        let has =
            |figure: &dyn Fn(&RunRecord) -> Option<String>| self.runs.iter().any(|run| figure(run).is_some());
        let mut columns = Vec::new();
        if has(&nats) {
            let mut column = self.column("log p nats", "", |run| nats(run).unwrap_or(NOTHING.into()));
            column.below = Some(self.below("≥", |run| elbo(run).unwrap_or_default()));
            columns.push(column);
        }
        if has(&bits) {
            columns.push(self.column("bits/dim", "", |run| bits(run).unwrap_or(NOTHING.into())));
        }
        columns
    }

    fn column(&self, heading: &str, floor: &str, cell: impl Fn(&RunRecord) -> String) -> Column {
        let cells = self.runs.iter().map(cell).chain([floor.to_owned()]);
        Column { heading: heading.into(), cells: cells.collect(), below: None }
    }

    fn below(&self, heading: &str, cell: impl Fn(&RunRecord) -> String) -> Below {
        let Column { heading, cells, .. } = self.column(heading, "", cell);
        Below { heading, cells }
    }

    /// Fréchet distance and class accuracy of images; none where no run has them.
    fn images(&self) -> Option<Column> {
        let floor = estimate(mean(self.runs.iter().filter_map(|run| Some(run.images?.floor)))?);
        let mut column = self.column("FID LeNet", &floor, |run| {
            run.images.map_or(NOTHING.into(), |images| estimate(images.fid))
        });
        let percent = |Estimate { value, error }: Estimate| with_error(100.0 * value, 100.0 * error);
        column.below = Some(self.below("right class %", |run| {
            run.images.and_then(|images| images.accuracy).map_or(String::new(), percent)
        }));
        Some(column)
    }

    /// A deviation in per cent and the bin of its energy; none where no run has it.
    fn deviations(
        &self,
        heading: &str,
        of: impl Fn(&RunRecord) -> Option<&DeviationRecord>,
    ) -> Option<Column> {
        self.runs.iter().find_map(&of)?;
        let percent = |one: &DeviationRecord| {
            let Estimate { value, error } = one.deviation;
            with_error(100.0 * value, 100.0 * error)
        };
        let bin = |one: &DeviationRecord| {
            let [low, high] = one.energy_mev.map(|energy_mev| significant(energy_mev / 1000.0, 2));
            format!("{low}–{high}")
        };
        let mut column = self.column(heading, "", |run| of(run).map_or(NOTHING.into(), percent));
        column.below = Some(self.below("at GeV", |run| of(run).map_or(String::new(), bin)));
        Some(column)
    }
}

fn estimate(Estimate { value, error }: Estimate) -> String {
    with_error(value, error)
}

/// In thousands a second: counts of single events fill a line with digits that no measurement has.
fn rate(rate: &Rate) -> String {
    with_error(rate.events_per_second / 1e3, rate.spread / 1e3)
}

fn verdict(run: &RunRecord) -> &'static str {
    match run.verdict {
        Verdict::None => "none",
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
    }
}

/// First and second lines of all rows, the heading first. A heading with nothing below it is set in two lines.
fn lines(column: Column) -> [Vec<String>; 2] {
    let Column { heading, cells, below } = column;
    let empty = vec![String::new(); cells.len()];
    let (upper, lower, cells_below) = match below {
        Some(below) => (heading, below.heading, below.cells),
        None => match heading.split_once(' ') {
            Some((first, second)) => (first.to_owned(), second.to_owned(), empty),
            None => (heading, String::new(), empty),
        },
    };
    let compact = |cell: String| cell.replace(" ± ", "±");
    [
        std::iter::once(upper).chain(cells.into_iter().map(compact)).collect(),
        std::iter::once(lower).chain(cells_below.into_iter().map(compact)).collect(),
    ]
}

/// The beginning of a text, with an ellipsis where something was cut.
fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length - 1).chain(['…']).collect()
}
