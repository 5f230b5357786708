"""Pages over a lake: what last night did, recordings and their texts, search, upload, review,
quality, plan, SQL.

The package knows nothing of Airflow. `nightscribe.airflow.plugin` mounts it in Airflow's web server
and says who may do what.

- `app`: the application, from a `Site`; `site`: what it needs from outside
- `access`: people and rights; `security`: headers, and writes from other sites
- `audio_files`: the audio of recordings for players; `decoded_audio`: as a WAV that is decoded
  where it is played; `ranges`: which bytes a player asks for
- `snapshot`: the lake, as the pages read it; `places`: what recordings are called; `rendering`:
  templates and how values are shown
- `reviewing`: a transcript with people's corrections; `review_queue`: which ones wait for people
- `reading`: the texts of a recording; `differences`, `aligning`: two texts word by word;
  `doubt_worth`: how often doubtful words are wrong
- `console/`: runs the SQL of people, in processes of their own
- `pages/`: one module for each page
- `templates/`, `static/`: HTML, styles and scripts of our own; nothing is loaded from elsewhere
"""
