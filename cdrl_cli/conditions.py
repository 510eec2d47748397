"""What an edit asks for, read before its output is opened: a condition for each of its rows."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.errors import SpfemError
from cdrl_cli.generator.condition import ConditionTrack
from cdrl_cli.reference import Reference, read_named_emotion, read_reference
from cdrl_cli.schedule import ScheduleRow


def read_conditions(options: EditOptions, models: Models) -> Conditions:
    """What each row of the plan asks for, by whatever it names it; None where it only adjusts.

    Raises:
        NoFaceError: If a reference shows no face.
        UnreadableInputError: If a reference cannot be decoded.
        UsageError: If a way of acting an emotion is asked for that the weights do not know.
        WeightsError: If an emotion is named by words and the sentence encoder is missing.

        Of a schedule they begin with the row's file and line.
    """

    # A schedule comes back to the same emotion or reference again and again.
    @cache
    def once(asked: Reference | tuple[str, int | None]) -> ConditionTrack:
        if isinstance(asked, Reference):
            return read_reference(asked, models)
        return read_named_emotion(asked[0], models, way=asked[1])

    asked = [_request(row) for row in options.plan.rows]
    found: list[ConditionTrack | None] = []
    with ThreadPoolExecutor(1) as pool:
        if any(isinstance(one, Reference) for one in asked):
            pool.submit(models.open_readers)  # beside its landmarks; what fails there fails here
        for place, one in enumerate(asked):
            try:
                found.append(None if one is None else once(one))
            except SpfemError as error:
                if options.schedule is None:
                    raise
                raise error.at(options.schedule.locate(place)) from error
    return tuple(found)


def _request(row: ScheduleRow) -> Reference | tuple[str, int | None] | None:
    """What a row names its emotion by: a reference, or words and a way to act it."""
    if row.reference is None:
        return None if row.emotion is None else (row.emotion, row.way)
    return Reference(
        row.reference,
        neutral=row.reference_neutral,
        face=row.reference_face,
        start=row.reference_start,
        end=row.reference_end,
        follow=row.follow_reference,
        named=row.emotion,
        normalise=row.normalize,
    )
