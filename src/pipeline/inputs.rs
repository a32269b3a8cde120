//! What a run reads: the files as they are, or clusters reconstructed of the showers in them.

use simile_data::Dataset;

use super::{Observer, PipelineError, RunDirectory, prepare};
use crate::events::{Clusters, ClustersConfig, carried};

/// The data sets of a run.
pub(super) struct Inputs {
    /// To train on.
    pub(super) input: Dataset,
    /// To compare with, unless that is a part of the input.
    pub(super) test: Option<Dataset>,
    /// The files as they were given.
    pub(super) originals: Vec<Dataset>,
}

impl Inputs {
    /// Opens the files; showers are reconstructed, and so are those of nested events, whose objects are the test events
    /// where no others are given.
    pub(super) fn open(run: &RunDirectory, observer: &mut dyn Observer) -> Result<Self, PipelineError> {
        let config = &run.config.data;
        let input = Dataset::open(&config.files)?;
        let test = (!config.test_files.is_empty()).then(|| Dataset::open(&config.test_files)).transpose()?;
        if let Some(test) = &test {
            input.check_alike(test, |column| column)?;
        }
        if let Some(events) = run.config.events.as_ref().filter(|events| !events.files.is_empty()) {
            let columns = &events.objects.columns;
            let name = |column| columns.get(column).map_or(column, String::as_str);
            input.check_alike(&Dataset::open(&events.files)?, name)?;
        }
        match &run.config.reconstruction {
            Some(reconstruction) => Self::reconstruct(run, reconstruction, input, test, observer),
            None => Ok(Self {
                originals: std::iter::once(input.clone()).chain(test.clone()).collect(),
                input,
                test,
            }),
        }
    }

    fn reconstruct(
        run: &RunDirectory,
        config: &ClustersConfig,
        showers: Dataset,
        test: Option<Dataset>,
        observer: &mut dyn Observer,
    ) -> Result<Self, PipelineError> {
        let clusters = Clusters::prepare(config, &showers, run.config.seed)?;
        let calibration = clusters.calibration();
        observer.message(&format!(
            "clusters of {} showers: energy = {:.4} · visible + {:.1} MeV",
            showers.num_rows(),
            calibration.scale,
            calibration.offset_mev
        ));
        let carried = carried(&showers, &config.voxels);
        clusters.write_flat(&showers, &config.voxels, &carried, &run.clusters())?;
        let mut originals = vec![showers];
        let test = match (test, &run.config.events) {
            (Some(test), _) => {
                clusters.write_flat(&test, &config.voxels, &carried, &run.objects())?;
                originals.push(test);
                Some(prepare::open(&run.objects())?)
            }
            (None, Some(events)) if events.voxels.is_some() && !events.files.is_empty() => {
                let input = Dataset::open(&events.files)?;
                let mut wanted = run.config.data.condition.clone();
                let time = run.config.validation.time_column.iter();
                wanted.extend(time.filter(|time| events.objects.columns.contains_key(*time)).cloned());
                let out = [run.reference_events(), run.objects()];
                let objects = clusters.write_nested(
                    &input,
                    events,
                    &wanted,
                    out.each_ref().map(|path| path.as_path()),
                )?;
                observer.message(&format!("{objects} objects in {} nested events", input.num_rows()));
                originals.push(input);
                Some(prepare::open(&run.objects())?)
            }
            (None, _) => None,
        };
        Ok(Self { input: prepare::open(&run.clusters())?, test, originals })
    }
}
