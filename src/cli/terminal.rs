//! Progress and messages on standard error: bars on a terminal, plain lines otherwise, JSON on request.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::options::LogFormat;
use super::preemption::Preemption;
use crate::Warn;
use crate::fetch;
use crate::pipeline::{self, Stage};
use crate::sampling;
use crate::training::{self, EpochRecord};

/// Time between lines of progress where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    All,
    Warnings,
    Nothing,
}

/// See the module documentation.
pub(super) struct Terminal {
    volume: Volume,
    format: LogFormat,
    bar: Option<ProgressBar>,
    last_line: Instant,
    epochs: usize,
    batches: u64,
    /// Of the current epoch: batches, events and loss so far, and its start.
    epoch: (u64, usize, f64, Instant),
    sampled: (u64, u64, Instant),
    preemption: Preemption,
}

impl Terminal {
    pub(super) fn new(volume: Volume, format: LogFormat, preemption: Preemption) -> Self {
        let now = Instant::now();
        Self {
            volume,
            format,
            bar: None,
            last_line: now,
            epochs: 0,
            batches: 0,
            epoch: (0, 0, 0.0, now),
            sampled: (0, 0, now),
            preemption,
        }
    }

    /// A line to read, or a JSON object with its fields.
    fn say(&mut self, text: &str, fields: Value) {
        self.last_line = Instant::now();
        match (self.format, &self.bar) {
            _ if self.volume != Volume::All => {}
            (LogFormat::Json, _) => {
                let mut fields = fields;
                fields["level"] = "info".into();
                eprintln!("{fields}");
            }
            (_, Some(bar)) => bar.suspend(|| eprintln!("{text}")),
            _ => eprintln!("{text}"),
        }
    }

    fn has_bars(&self) -> bool {
        self.volume == Volume::All && self.format == LogFormat::Text && std::io::stderr().is_terminal()
    }

    fn start_bar(&mut self, length: u64, template: &str) {
        if self.has_bars() {
            let style =
                ProgressStyle::with_template(template).expect("the template is valid").progress_chars("━╸─");
            let bar =
                ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style);
            self.bar = Some(bar);
        }
    }

    fn finish_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Whether a line of progress is due where there is no bar.
    fn line_is_due(&self) -> bool {
        self.bar.is_none() && self.last_line.elapsed() > LINE_INTERVAL
    }

    /// A message outside the stages.
    pub(super) fn message(&mut self, text: &str) {
        self.say(text, json!({"event": "message", "message": text}));
    }
}

impl training::Observer for Terminal {
    fn start(&mut self, first_epoch: usize, epochs: usize, batches: u64) {
        self.preemption.end_at_once(false);
        (self.epochs, self.batches) = (epochs, batches);
        self.epoch = (0, 0, 0.0, Instant::now());
        if first_epoch > 1 {
            self.message(&format!("  going on with epoch {first_epoch} of {epochs}"));
        }
        let steps = batches * (epochs + 1 - first_epoch.min(epochs + 1)) as u64;
        self.start_bar(steps, "  {bar:32} {percent:>3}%  {msg}  {eta} left");
    }

    fn step(&mut self, events: usize, loss: f64) {
        let (batches, seen, mean, start) = &mut self.epoch;
        *batches += 1;
        *seen += events;
        *mean += (loss - *mean) / *batches as f64;
        let rate = *seen as f64 / start.elapsed().as_secs_f64();
        let (batches, loss) = (*batches, *mean);
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(format!("loss {loss:.4}  {rate:.0} events/s"));
        } else if self.line_is_due() {
            let total = self.batches;
            self.say(
                &format!("  batch {batches} of {total}  loss {loss:.4}  {rate:.0} events/s"),
                json!({"event": "step", "batch": batches, "batches": total, "loss": loss, "events_per_second": rate}),
            );
        }
    }

    fn interrupted(&self) -> bool {
        self.preemption.is_requested()
    }

    fn epoch(&mut self, record: &EpochRecord, best: bool) {
        let rate = self.epoch.1 as f64 / record.seconds;
        let validation =
            record.validation_loss.map_or(String::new(), |loss| format!("  validation {loss:.4}"));
        let left = (self.epochs - record.epoch) as f64 * record.seconds;
        let text = format!(
            "  epoch {:>3} of {}  loss {:.4}{validation}{}  {rate:.0} events/s  {} left",
            record.epoch,
            self.epochs,
            record.train_loss,
            if best { " (best)" } else { "" },
            indicatif::HumanDuration(Duration::from_secs_f64(left)),
        );
        let mut fields = serde_json::to_value(record).expect("a record is representable in JSON");
        fields["event"] = "epoch".into();
        self.say(&text, fields);
        self.epoch = (0, 0, 0.0, Instant::now());
        if record.epoch == self.epochs {
            self.finish_bar();
        }
    }
}

impl sampling::Observer for Terminal {
    fn begin(&mut self, events: u64) {
        self.finish_bar();
        self.sampled = (0, events, Instant::now());
        self.start_bar(events, "  {bar:32} {percent:>3}%  {human_pos} events  {per_sec}  {eta} left");
    }

    fn advance(&mut self, events: u64) {
        self.sampled.0 += events;
        let (done, total, start) = self.sampled;
        let rate = done as f64 / start.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.inc(events);
        }
        if done == total {
            self.finish_bar();
        }
        if done == total || self.line_is_due() {
            self.say(
                &format!("  {done} of {total} events  {rate:.0} events/s"),
                json!({"event": "sample", "events": done, "total": total, "events_per_second": rate}),
            );
        }
    }
}

impl fetch::Observer for Terminal {
    fn begin(&mut self, file: &str, done: u64, total: Option<u64>) {
        self.finish_bar();
        let size = total.map_or(String::new(), |total| format!(", {}", HumanBytes(total)));
        let fields = json!({"event": "download", "file": file, "bytes": total, "from": done});
        self.say(&format!("  downloading {file}{size}"), fields);
        if let Some(total) = total {
            self.start_bar(total, "  {bar:32} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left");
            self.bar.iter().for_each(|bar| bar.set_position(done));
        }
    }

    fn advance(&mut self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        bar.inc(bytes);
        if Some(bar.position()) == bar.length() {
            self.finish_bar();
        }
    }

    fn message(&mut self, message: &str) {
        self.finish_bar();
        pipeline::Observer::message(self, message);
    }
}

impl Warn for Terminal {
    fn warn(&mut self, message: &str) {
        match self.format {
            _ if self.volume == Volume::Nothing => {}
            LogFormat::Text => eprintln!("warning: {message}"),
            LogFormat::Json => eprintln!("{}", json!({"level": "warning", "message": message})),
        }
    }
}

impl pipeline::Observer for Terminal {
    fn stage(&mut self, stage: Stage) {
        self.preemption.end_at_once(true);
        self.finish_bar();
        self.say(stage.name(), json!({"event": "stage", "stage": stage.name()}));
    }

    fn message(&mut self, message: &str) {
        self.say(&format!("  {message}"), json!({"event": "message", "message": message}));
    }
}
