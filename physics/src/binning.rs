//! Geometry from the binning files of the CaloChallenge (arXiv:2410.21611; XMLHandler.py in
//! github.com/CaloChallenge/homepage).
//!
//! ```xml
//! <Bins>
//!   <Bin pid="22" name="photon">
//!     <Layer id="0" r_edges="0,5,10,30" n_bin_alpha="1"/>
//!     <Layer id="1" r_edges="0" n_bin_alpha="1"/>
//!   </Bin>
//! </Bins>
//! ```
//!
//! A file has one `Bin` for every kind of incident particle. Edges are in mm, layers are numbered from 0 in the order
//! of the voxels, and a layer with a single edge has no voxels. Sector 0 begins at α = −π: with that, x and y of our
//! observables are the η and φ of the CaloChallenge. The files do not say how deep the layers are, so that the
//! geometry has no `x0`, and no observable is given that needs it.

use std::f64::consts::PI;

use roxmltree::{Document, Node};

use crate::{Geometry, GeometryError, Layer};

/// Why a binning file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinningError {
    /// The text is not XML.
    #[error("the binning is not valid XML: {0}")]
    Xml(#[from] roxmltree::Error),
    /// No element `Bin` below the root.
    #[error(
        "the binning has no `Bin` in its root element `{root}`; take a binning file of the CaloChallenge"
    )]
    NoParticle {
        /// Name of the root element.
        root: String,
    },
    /// A particle has to be chosen.
    #[error("the binning is for several particles; choose one by its name or pid: {particles}")]
    SeveralParticles {
        /// Names and pids in the file.
        particles: String,
    },
    /// The particle asked for is not there, or more than once.
    #[error("the binning has {found} particles `{particle}`; choose by name or pid one of: {particles}")]
    UnknownParticle {
        /// What was asked for.
        particle: String,
        /// How many fit.
        found: usize,
        /// Names and pids in the file.
        particles: String,
    },
    /// An attribute is missing.
    #[error("line {line} of the binning: `{element}` has no attribute `{attribute}`, which is needed")]
    MissingAttribute {
        /// Line of the element.
        line: u32,
        /// Name of the element.
        element: &'static str,
        /// Name of the attribute.
        attribute: &'static str,
    },
    /// An attribute holds something else than it should.
    #[error("line {line} of the binning: `{attribute}` = \"{value}\" should be {expected}")]
    Attribute {
        /// Line of the element.
        line: u32,
        /// Name of the attribute.
        attribute: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: String,
    },
    /// The numbers make no calorimeter.
    #[error("the layers of the binning make no calorimeter: {0}")]
    Geometry(#[from] GeometryError),
}

impl Geometry {
    /// Reads the text of a CaloChallenge binning file. `particle` is a name or pid in it; it may be left out where the
    /// file has one particle only. Depths are unknown, and sector 0 begins at α = −π in all layers.
    ///
    /// # Errors
    /// If the text is no such file, the particle is not there or ambiguous, or the numbers make no geometry.
    pub fn from_binning_xml(xml: &str, particle: Option<&str>) -> Result<Self, BinningError> {
        let document = Document::parse(xml)?;
        let bin = choose(document.root_element(), particle)?;
        let layers = children(bin, "Layer").enumerate().map(|(index, node)| layer(index, node));
        Ok(Self::new(layers.collect::<Result<_, _>>()?)?)
    }
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

/// The `Bin` of the particle.
fn choose<'a, 'input>(
    root: Node<'a, 'input>,
    particle: Option<&str>,
) -> Result<Node<'a, 'input>, BinningError> {
    let all: Vec<_> = children(root, "Bin").collect();
    if all.is_empty() {
        return Err(BinningError::NoParticle { root: root.tag_name().name().to_owned() });
    }
    let identifiers = |bin: &Node| ["name", "pid"].map(|key| bin.attribute(key).map(str::to_owned));
    let fits = |bin: &&Node| {
        particle.is_none_or(|wanted| identifiers(bin).iter().flatten().any(|known| known == wanted))
    };
    let found: Vec<_> = all.iter().filter(fits).collect();
    if let [bin] = found[..] {
        return Ok(*bin);
    }
    let describe = |bin: &Node| match identifiers(bin) {
        [Some(name), Some(pid)] => format!("{name} (pid {pid})"),
        [name, pid] => name.or(pid).unwrap_or_else(|| "one without name and pid".to_owned()),
    };
    let particles = all.iter().map(describe).collect::<Vec<_>>().join(", ");
    Err(match particle {
        None => BinningError::SeveralParticles { particles },
        Some(name) => {
            BinningError::UnknownParticle { particle: name.to_owned(), found: found.len(), particles }
        }
    })
}

fn layer(index: usize, node: Node) -> Result<Layer, BinningError> {
    let line = node.document().text_pos_at(node.range().start).row;
    let text = |attribute: &'static str| {
        let missing = BinningError::MissingAttribute { line, element: "Layer", attribute };
        node.attribute(attribute).ok_or(missing)
    };
    let wrong = |attribute, expected: &str| {
        let value = node.attribute(attribute).unwrap_or_default().to_owned();
        BinningError::Attribute { line, attribute, value, expected: expected.to_owned() }
    };
    if text("id")?.trim().parse() != Ok(index) {
        return Err(wrong("id", &format!("{index}: layers are numbered from 0 in the order of the voxels")));
    }
    let edges = text("r_edges")?.split(',').map(|edge| edge.trim().parse::<f64>());
    let mut r_edges_mm: Vec<f64> = edges
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("r_edges", "radii in mm with commas between them, or one radius for no voxels"))?;
    if r_edges_mm.len() == 1 {
        r_edges_mm.clear();
    }
    let n_alpha = text("n_bin_alpha")?.trim().parse();
    let n_alpha = n_alpha.map_err(|_| wrong("n_bin_alpha", "the number of sectors, 1 or more"))?;
    Ok(Layer { r_edges_mm, n_alpha, alpha_begin: Some(-PI), x0: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_PARTICLES: &str = include_str!("../golden/binning.xml");

    fn fault(xml: &str, particle: Option<&str>) -> String {
        Geometry::from_binning_xml(xml, particle).unwrap_err().to_string()
    }

    #[test]
    fn particles_are_chosen_by_name_or_pid() {
        let photon = Geometry::from_binning_xml(TWO_PARTICLES, Some("photon")).unwrap();
        assert_eq!(Geometry::from_binning_xml(TWO_PARTICLES, Some("22")).unwrap(), photon);
        assert_eq!(photon.n_layers(), 4);
        assert_eq!(
            (0..4).map(|layer| photon.layer_voxels(layer)).collect::<Vec<_>>(),
            [0..3, 3..23, 23..23, 23..29]
        );
        assert_eq!(photon.layers[1].r_edges_mm, [0.0, 2.0, 4.0, 8.0, 16.0]);
        assert!(photon.layers[2].r_edges_mm.is_empty());
        assert_eq!(photon.layers[1].alpha_begin, Some(-PI));
        assert_eq!(photon.layers[1].x0, None);
        let pion = Geometry::from_binning_xml(TWO_PARTICLES, Some("pion")).unwrap();
        assert_eq!(pion.n_voxels(), 4);
        let only = r#"<Bins><Bin><Layer id="0" r_edges="0, 1" n_bin_alpha=" 2"/></Bin></Bins>"#;
        assert_eq!(Geometry::from_binning_xml(only, None).unwrap().n_voxels(), 2);
    }

    #[test]
    fn faults_say_where_and_how_to_mend() {
        let all = "photon (pid 22), pion (pid 211)";
        for (particle, expected) in [
            (None, "for several particles"),
            (Some("kaon"), "has 0 particles `kaon`"),
            (Some("Photon"), "has 0"),
        ] {
            let message = fault(TWO_PARTICLES, particle);
            assert!(message.contains(expected) && message.contains(all), "{message}");
        }
        let changed = |from: &str, to: &str| {
            assert!(TWO_PARTICLES.contains(from), "{from}");
            fault(&TWO_PARTICLES.replacen(from, to, 1), Some("photon"))
        };
        let twice = changed("pid=\"211\" name=\"pion\"", "name=\"photon\"");
        assert!(twice.contains("has 2 particles `photon`"), "{twice}");
        assert!(
            changed("r_edges=\"0,2,4", "redges=\"0,2,4")
                .contains("line 8 of the binning: `Layer` has no attribute `r_edges`")
        );
        assert!(
            changed("0,2,4", "0,two,4")
                .contains("line 8 of the binning: `r_edges` = \"0,two,4,8,16\" should be radii")
        );
        assert!(
            changed("n_bin_alpha=\"5\"", "n_bin_alpha=\"-5\"")
                .contains("`n_bin_alpha` = \"-5\" should be the number")
        );
        assert!(changed("id=\"1\"", "id=\"2\"").contains("line 8 of the binning: `id` = \"2\" should be 1"));
        assert!(changed("0,2,4", "0,4,2").contains("layer 1: `r_edges_mm`[2] = 2"));
        assert!(changed("0,2,4", "0,inf,4").contains("layer 1: `r_edges_mm`[1] = inf"));
        assert!(changed("n_bin_alpha=\"5\"", "n_bin_alpha=\"0\"").contains("layer 1: `n_alpha` is 0"));
        assert!(
            changed("n_bin_alpha=\"5\"", "n_bin_alpha=\"9999999\"").contains("layer 1: the geometry reaches")
        );
    }

    #[test]
    fn what_is_no_binning_is_refused() {
        assert!(fault("", None).contains("not valid XML"));
        assert!(fault(&TWO_PARTICLES[..300], Some("photon")).contains("not valid XML"));
        assert!(fault("<html><body/></html>", None).contains("no `Bin` in its root element `html`"));
        assert!(fault("<Bins><Bin name=\"photon\"/></Bins>", None).contains("0 layers and no voxel"));
        // Entities that stand for each other could fill the memory.
        let bomb = "<!DOCTYPE b [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><Bins>&b;</Bins>";
        assert!(fault(bomb, None).contains("not valid XML"));
    }

    /// Voxels, layers with voxels, and layers with sectors of the official files (arXiv:2410.21611, table 1).
    #[test]
    fn official_files_have_the_published_voxels() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/calochallenge");
        for (file, particle, voxels, layers, sectored) in [
            ("binning_dataset_1_photons.xml", "photon", 368, 5, 2),
            ("binning_dataset_1_pions.xml", "pion", 533, 7, 4),
            ("binning_dataset_2.xml", "electron", 6480, 45, 45),
            ("binning_dataset_3.xml", "electron", 40500, 45, 45),
        ] {
            let Ok(xml) = std::fs::read_to_string(format!("{folder}/{file}")) else {
                println!("SKIPPED: {file} is not at hand, so it is not checked (looked in {folder})");
                continue;
            };
            let geometry = Geometry::from_binning_xml(&xml, Some(particle)).unwrap();
            assert_eq!(geometry, Geometry::from_binning_xml(&xml, None).unwrap());
            assert_eq!(geometry.n_voxels(), voxels, "{file}");
            let with_voxels = || geometry.layers.iter().filter(|layer| layer.n_voxels() > 0);
            assert_eq!(with_voxels().count(), layers, "{file}");
            assert_eq!(with_voxels().filter(|layer| layer.n_alpha > 1).count(), sectored, "{file}");
        }
    }
}
