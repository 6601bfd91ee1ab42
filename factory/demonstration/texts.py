"""What the demonstration reads and asks where nothing else is named: facts that no model can know."""

DOCUMENT = (
    "The harbour master of Port Ellerby keeps a short report of each week. On Monday the lighthouse keeper, Rosa "
    "Tillman, had the boathouse painted orange, because the old grey paint could not be seen in the fog. The ferry to "
    "the mainland was late on two days, and the crew blamed the tide rather than the engine. On Wednesday Oscar "
    "Lindgren, who works as a baker near the quay, reported that a rabbit had been living under his stairs since the "
    "spring. The children of the school were allowed to see it, and the teacher wrote a poem. On Friday the council "
    "met in the old chapel and decided to buy a new bell. The bell will be made in the city of Vienna and will arrive "
    "in October. Nobody spoke against it, although the price is high and the roof of the chapel has to be mended "
    "first. The weather stayed mild, with light wind from the west, and the fishing boats came home early on most days."
)
STRANGER = (
    "The station at Kettle Bridge was opened in the summer after the line had been closed for nineteen years. On the "
    "first morning the station master, Martin Okafor, had the waiting room painted blue and set a clock above the "
    "door. Trains leave every hour, and most travellers are workers of the glass factory across the river. Helen "
    "Varga, who works as a teacher in the next village, came with a parrot in a cage and asked for a ticket for it. In "
    "the afternoon the mayor made a speech about the new timetable, which nobody could hear because of the brass band. "
    "The platform will be made longer next year, and the stones for it will come from the city of Madrid in March. The "
    "evening train was full, and the station master stayed until the last lamp was out."
)
QUESTIONS = (
    "Rosa Tillman had the boathouse painted",
    "Oscar Lindgren works as a",
    "The bell will be made in the city of",
)
BEFORE_QUESTION = "\n\n"  # a question is a line of its own that the receiver is to complete
