//! scratch
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
use agcfix::*;
fn read(p: &str) -> Audio {
    let mut r = hound::WavReader::open(p).unwrap();
    let s = r.spec();
    let x: Vec<f32> = if s.sample_format == hound::SampleFormat::Float {
        r.samples::<f32>().map(|v| v.unwrap()).collect()
    } else {
        r.samples::<i32>().map(|v| v.unwrap() as f32 / 32768.0).collect()
    };
    let c = s.channels as usize;
    Audio::new(s.sample_rate, (0..c).map(|k| x.iter().skip(k).step_by(c).copied().collect()).collect()).unwrap()
}
fn power_blocks(a: &Audio, hop: usize) -> Vec<f64> {
    let n = a.sample_len() / hop;
    (0..n)
        .map(|b| {
            a.channels().iter().map(|c| c[b * hop..(b + 1) * hop].iter().map(|x| (*x as f64).powi(2)).sum::<f64>()).sum::<f64>()
                / a.channels().len() as f64
                / hop as f64
        })
        .collect()
}

fn gain_truth(phone: &Audio, reference: &Audio) -> Vec<f64> {
    let hop = 480;
    let (p, r) = (power_blocks(phone, hop), power_blocks(reference, hop));
    let top = r.iter().cloned().fold(0.0, f64::max) * 1e-5;
    p.iter().zip(&r).map(|(p, r)| if *r > top { 10.0 * (p / r).log10() } else { f64::NAN }).collect()
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let env = |k: &str, d: f64| std::env::var(k).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
    let mut names: Vec<String> = std::fs::read_dir("/work/shared/bench/cases").unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|n| !n.starts_with('_')).collect();
    names.extend(["prelude-phone", "prelude-phone-compressor", "prelude-phone-agc1", "prelude-mic"].map(str::to_owned));
    names.sort();
    for name in names.iter().filter(|n| args.len() < 2 || args[1..].iter().any(|a| n.contains(a.as_str()))) {
        let phone = read(&format!("/tmp/bench/{name}.wav"));
        let reference = if name.starts_with("prelude") { "prelude-mic.wav".to_owned() } else {
            let meta: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(format!("/work/shared/bench/cases/{name}/meta.json")).unwrap()).unwrap();
            meta["reference"].as_str().unwrap().replace(".flac", ".wav") };
        let reference = read(&format!("/tmp/bench/{reference}"));
        let reference = if name.starts_with("prelude") { let c = reference.channels(); Audio::new(48000, vec![c[0].iter().zip(&c[1]).map(|(a, b)| (a + b) / 2.0).collect()]).unwrap() } else { reference };
        let g = gain_truth(&phone, &reference);
        let stft = stft::Stft::new(&stft::StftConfig::default(), 48000.0).unwrap();
        let t0 = std::time::Instant::now();
        let parts = partials::follow(&phone, &stft, &Default::default(), &Default::default(), &()).unwrap();
        let mut ec = evidence::EvidenceConfig::default();
        ec.scale_db = env("SCALE", ec.scale_db);
        let mut fc = fit::FitConfig::default();
        fc.step_weight = env("STEPW", fc.step_weight);
        fc.generations = env("GEN", fc.generations as f64) as usize;
        let nl = env("LAWS", 1.0) as usize;
        fc.laws.truncate(nl);
        if let Ok(l) = std::env::var("LAW") { fc.laws = law::families().into_iter().filter(|x| x.name() == l).collect(); }
        let w = fit::Weighing::new(&phone, &stft, &parts, &[], &Default::default(), &ec, &Default::default(), fc.step_weight);
        let s = fit::search(&w, &fc, &()).unwrap();
        let null = w.null();
        let mut best = s.candidates[0].clone();
        let mut w1 = None;
        if env("RESEG", 1.0) > 0.0 {
            let w2 = fit::Weighing::new(&phone, &stft, &parts, &best.gain_db, &Default::default(), &ec, &Default::default(), fc.step_weight);
            let law = &fc.laws[best.law_index];
            let p = fit::search::polish(&fit::search::position_of(law.parameters(), &best.values), 0.03, 100, |u| { let v = fit::search::values_at(law.parameters(), u); let gg = w2.frame_gain_db(law.as_ref(), &v, true); w2.weigh(best.law_index, v, gg).loss });
            let v = fit::search::values_at(law.parameters(), &p.position);
            let gg = w2.frame_gain_db(law.as_ref(), &v, false);
            best = w2.weigh(best.law_index, v, gg);
            w1 = Some(w2);
        }
        let el = t0.elapsed();
        // error on 10 ms blocks: exact law at sample level
        let law = &fc.laws[best.law_index];
        let d = law::drive(phone.channels());
        let gg = law::gain_of(law.as_ref(), &best.values, 48000.0, &d, law::Direction::Inverse);
        let est: Vec<f64> = gg.chunks(480).map(|c| 20.0 * (c.iter().map(|v| (*v as f64).powi(2)).sum::<f64>() / c.len() as f64).sqrt().log10()).collect();
        let rms = |v: Vec<f64>| { let mut s = v.clone(); s.sort_by(f64::total_cmp); let m = s[s.len() / 2]; (v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / v.len() as f64).sqrt() };
        let e = rms(g.iter().zip(&est).filter(|(a, _)| a.is_finite()).map(|(a, b)| a - b).collect());
        let e0 = rms(g.iter().copied().filter(|a| a.is_finite()).collect());
        let mv = rms(est.clone());
        // truth loss
        let mean = g.iter().filter(|v| v.is_finite()).sum::<f64>() / g.iter().filter(|v| v.is_finite()).count() as f64;
        let gt: Vec<f32> = g.iter().map(|v| if v.is_finite() { 10f64.powf((v - mean) / 20.0) as f32 } else { 1.0 }).collect();
        let ft = evidence::FrameGain::new(&stft, phone.sample_len()).frames_db(&gt);
        let lt = w.weigh(0, vec![], ft.clone());
        let b1 = w.weigh(0, vec![], best.gain_db.clone());
        let note_z = |c: &fit::Candidate| { let d: Vec<f64> = null.loss_by_note.iter().zip(&c.loss_by_note).map(|(a, b)| (*a - *b) as f64).collect(); let s: f64 = d.iter().sum(); s / d.iter().map(|x| x * x).sum::<f64>().sqrt() };
        // step slope
        let sl = |gd: &[f32]| { let (mut xy, mut xx, mut yy, mut n) = (0.0, 0.0, 0.0, 0); for s in &w.steps { if let Some(p) = onsets::predicted_step(gd, s.onset_frame, 0.01, &Default::default()) { let wt = 1.0 / (s.error_db * s.error_db + 0.16); xy += wt * p * s.step_db; xx += wt * p * p; yy += wt * s.step_db * s.step_db; n += 1; } } (xy / xx, xy / (xx * yy).sqrt(), n) };
        let (a1, a2, n) = sl(&best.gain_db); let (t1, t2, _) = sl(&ft);
        let evals: usize = s.families.iter().map(|f| f.evaluation_len).sum();
        println!("{name:50} err {e:5.2} of {e0:5.2} mov {mv:5.2} | L0-L {:7.1} ({:.4}) z {:5.2} truth {:7.1} z {:5.2} | steps {n}: {a1:5.2} r {a2:5.2} truth {t1:5.2} r {t2:5.2} | {} {:?} {evals} {el:.1?}", null.loss - b1.loss, (null.loss - b1.loss) / null.loss, note_z(&b1), null.loss - lt.loss, note_z(&lt), law.name(), best.values.iter().map(|v| (v * 1000.0).round() / 1000.0).collect::<Vec<_>>());
        let _ = w1;
    }
}
