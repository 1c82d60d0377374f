"""Dictionaries and their features: look, annotate, match, report."""

import getpass

import numpy as np

from saed.calls import unhurried
from saed.frames import frame
from saed.v1 import features_pb2
from saed.values import evidence_kind, tensor_to_array
from saed.words import value


def _feature(name, latent):
    """The name of a feature, or of the latent of a dictionary."""
    if latent is None:
        if "/features/" not in name:
            raise ValueError(f"feature: is {name!r}; must be dictionaries/…/features/…, or be followed "
                             "by the number of a feature of that dictionary")
        return name
    if "/features/" in name:
        raise ValueError(f"latent: is {latent!r}, but {name} is a feature already; give one of them")
    return f"{name}/features/{int(latent)}"


def _beside(c, pair):
    """A DictionaryCondition as a row of `conditions`, with the association of its best feature."""
    def auroc(message, field):
        return getattr(message, field) if message.HasField(field) else None

    def of_size(sizes, size):
        return auroc(sizes[size - 1], "test_auroc") if 0 < size <= len(sizes) else None

    worth = features_pb2.Worth.Name(c.worth)[len("WORTH_"):].replace("_", " ").lower()
    return {"condition": c.condition.name, "feature": auroc(c, "best_feature"),
            "auroc": auroc(c, "best_feature_test_auroc"),
            "low": auroc(pair, "auroc_low"), "high": auroc(pair, "auroc_high"),
            "q": auroc(pair, "q_value"), "over_unit": auroc(c, "over_unit"),
            "over_unit_low": auroc(c, "over_unit_low"),
            "over_unit_high": auroc(c, "over_unit_high"), "unit_id": auroc(c, "best_unit_id"),
            "unit": auroc(c, "best_unit_test_auroc"),
            "worth": worth if c.worth else None, "random": auroc(c, "random_test_auroc"),
            "pca": auroc(c, "pca_test_auroc"), "ica": auroc(c, "ica_test_auroc"),
            "latents": auroc(c, "logistic_latents_test_auroc"),
            "counts": auroc(c, "logistic_counts_test_auroc"),
            "set": of_size(c.set.sizes, len(c.set.members)),
            "size": len(c.set.members) or None,
            "units": of_size(c.set.unit_sizes, len(c.set.units))}


class FeatureCalls:
    """Of a Client."""

    def dictionary(self, name):
        """The dictionary with its conditions: of each the best feature beside the best unit
        (`worth`, `over_unit` with its interval) and, where there is one, the smallest set of
        features that stands for it (`set`, see FeatureSet in features.proto; its scores:
        `set_scores`). Held-out AUROCs of plain methods stand beside: see `conditions`."""
        return self._call(self.features.GetDictionary,
                          features_pb2.GetDictionaryRequest(name=name)).dictionary

    def list_dictionaries(self, model="", limit=None):
        """Dictionaries, newest first and without their conditions, of all models or one."""
        return list(self._pages(self.features.ListDictionaries,
                                features_pb2.ListDictionariesRequest(model=model), "dictionaries",
                                limit))

    def delete_dictionary(self, name):
        """Deletes a dictionary; its model, and what people said about its features, stay."""
        self._call(self.features.DeleteDictionary,
                   features_pb2.DeleteDictionaryRequest(name=name))

    def conditions(self, dictionary, as_frame=False):
        """What stands for each condition beside what plain methods reach: a list of dicts of
        held-out AUROCs, None where there is none; as_frame: a pandas.DataFrame. `feature` with its
        number, its `auroc` with the 95 % interval from `low` to `high` and `q`, the corrected
        p-value; `unit` (the best single one) with its id `unit_id`, by how much the feature is
        above it (`over_unit`, with `over_unit_low` and `over_unit_high`) and what that says
        (`worth`: "above units", "like units", "below units" or None); `random` (the best of as many
        random rows), `pca` and `ica` (the best of as many components), `latents` and `counts`
        (logistic regression on all of them), `set` and `units` (the smallest set of features, and
        as many units) with `size`."""
        conditions = self.dictionary(dictionary).conditions
        pairs = self._best_pairs(dictionary, conditions)
        rows = [_beside(c, pairs.get(c.condition.name, features_pb2.Association()))
                for c in conditions]
        return frame(rows) if as_frame else rows

    def _best_pairs(self, dictionary, conditions):
        """The association of each condition with its best feature, by the condition's name. One call
        has those that are their feature's best, too; a call for each other feature has the rest."""
        best = {c.condition.name: c.best_feature for c in conditions if c.HasField("best_feature")}
        if not best:
            return {}
        request = features_pb2.ListFeaturesRequest(parent=dictionary, with_association=True)
        pairs = {f.association.condition: f.association
                 for f in self._pages(self.features.ListFeatures, request, "features", None)
                 if best.get(f.association.condition) == f.latent}
        for latent in {best[name] for name in best.keys() - pairs.keys()}:
            answer = self._call(self.features.GetFeature, features_pb2.GetFeatureRequest(
                name=_feature(dictionary, latent)))
            pairs.update((a.condition, a) for a in answer.associations
                         if best.get(a.condition) == latent)
        return pairs

    def associations(self, feature, latent=None, as_frame=False):
        """How a feature goes with each condition: a list of Association, the highest held-out AUROC
        first; as_frame: a pandas.DataFrame. With latent, feature is the name of a dictionary."""
        found = list(self.feature(feature, latent)[0].associations)
        return frame(found) if as_frame else found

    def pool_condition(self, condition, all_dictionaries=False):
        """What stands for a condition, by its name, in all recordings that have it: the answer of
        PoolCondition, `entries` with the highest held-out AUROC first (of the newest dictionary of
        each recording, or of all), their mean and its SD over recordings, and a combined
        p-value."""
        return self._call(self.features.PoolCondition, features_pb2.PoolConditionRequest(
            condition=condition, all_dictionaries=all_dictionaries))

    def list_features(self, dictionary, filter="", order_by="", limit=None, as_frame=False):
        """Features of a dictionary, or of all ("dictionaries/-"). filter, order_by: see
        ListFeaturesRequest in features.proto, as 'best_auroc > 0.9' and 'best_auroc desc';
        as_frame: as a pandas.DataFrame."""
        request = features_pb2.ListFeaturesRequest(parent=dictionary, filter=filter,
                                                   order_by=order_by)
        found = list(self._pages(self.features.ListFeatures, request, "features", limit))
        return frame(found) if as_frame else found

    def feature(self, name, latent=None):
        """Everything about one feature: the answer of GetFeature, and its arrays. With latent, name
        is that of a dictionary."""
        request = features_pb2.GetFeatureRequest(name=_feature(name, latent))
        answer = self._call(self.features.GetFeature, request)
        return answer, tensor_to_array(answer.decoder), tensor_to_array(answer.trace_map)

    @unhurried
    def activations(self, name, evidence=None, latent=None, as_frame=False):
        """(start times in s, activations) of a feature's active windows, in time order; of
        `…/features/-` (start times, activations, latents) of all features. evidence: a kind (see
        `evidence`), whose value in every window comes instead. With latent, name is that of a
        dictionary. as_frame: a pandas.DataFrame."""
        name = _feature(name, latent)
        times, values, latents = [], [], []
        for part in self._stream(self.features.GetActivations,
                                 features_pb2.GetActivationsRequest(
                                     name=name, evidence=evidence_kind(evidence))):
            times.extend(part.start_times)
            values.extend(part.values)
            latents.extend(part.latents)
        out = [np.array(times), np.array(values, np.float32)]
        if name.endswith("/-"):
            out.append(np.array(latents, np.int32))
        if as_frame:
            return frame(dict(zip(("start_time", "activation", "latent"), out)))
        return tuple(out)

    def variables(self, dictionary):
        """What the dictionary's features are scored against: series, numeric columns, speed and
        direction of positions. How a feature goes with them, by its code or the evidence that
        judges it: `feature(name)[0].tunings`, in the same order."""
        return list(self.dictionary(dictionary).variables)

    def place_maps(self, feature, latent=None):
        """Maps of a feature over positions in a plane: {series: (x edges, y edges, training map,
        held-out map)}, maps [y, x], NaN where there were fewer than five windows. By what they are
        judged, and how many bits they tell: `feature(name)[0].place_maps`. With latent, feature is
        the name of a dictionary."""
        feature = _feature(feature, latent)
        answer = self.feature(feature)[0]
        places = self.dictionary(feature.partition("/features/")[0]).places
        return {p.series: (np.array(p.x_edges), np.array(p.y_edges),
                           *(np.array(m, np.float32).reshape(-1, len(p.x_edges) - 1)
                             for m in (f.train_map, f.test_map)))
                for p, f in zip(places, answer.place_maps)}

    def annotate(self, feature, label=None, tag=None, note=None, author=None):
        """Writes what people say about a feature; returns the annotations made. A label takes the
        place of the one before. author: default the name of the person logged in."""
        made = []
        for kind, text in (("LABEL", label), ("TAG", tag), ("NOTE", note)):
            if text is not None:
                made.append(self._call(
                    self.features.CreateAnnotation, features_pb2.CreateAnnotationRequest(
                        parent=feature, text=text, author=author or getpass.getuser(),
                        kind=features_pb2.Annotation.Kind.Value("KIND_" + kind))).annotation)
        return made

    def annotations(self, feature, deleted=False):
        """Labels, tags and notes of a feature; with `deleted` also those no longer in force."""
        return list(self._pages(self.features.ListAnnotations, features_pb2.ListAnnotationsRequest(
            parent=feature, show_deleted=deleted), "annotations", None))

    def forget(self, annotation, author=None):
        """Deletes an annotation by its name; it stays in the history."""
        self._call(self.features.DeleteAnnotation, features_pb2.DeleteAnnotationRequest(
            name=annotation, deleter=author or getpass.getuser()))

    def match(self, dictionary, others, likeness="decoder"):
        """Matches the features of a dictionary with those of others, one to one: the answer of
        MatchFeatures. likeness: "decoder", "activation" or "tuning"."""
        return self._call(self.features.MatchFeatures, features_pb2.MatchFeaturesRequest(
            name=dictionary, others=others,
            likeness=value(features_pb2.Likeness, likeness, "likeness")))

    def nearest(self, feature, dictionary="", likeness="decoder", count=10):
        """[(feature, likeness), …] of the features most like this one, in its own dictionary or
        another."""
        answer = self._call(self.features.ListNearestFeatures,
                            features_pb2.ListNearestFeaturesRequest(
                                name=feature, dictionary=dictionary, count=count,
                                likeness=value(features_pb2.Likeness, likeness, "likeness")))
        return [(n.feature, n.likeness) for n in answer.neighbours]

    @unhurried
    def report(self, dictionary, path, features=0):
        """Writes the report of a dictionary, one HTML page that needs no network."""
        request = features_pb2.RenderReportRequest(name=dictionary, feature_count=features)
        parts = [part.chunk for part in self._stream(self.features.RenderReport, request)]
        with open(path, "wb") as file:
            file.writelines(parts)
