"""English: what the user is told."""

from __future__ import annotations

from voice.texts.words import Words

ENGLISH = Words(
    sentences={
        "api_key_refused": "This address wants an API key, and yours is missing or wrong.",
        "origin_refused": "This page is not allowed to talk to Kaiwa. Please ask whoever runs it to add the page to ALLOWED_ORIGINS.",
        "too_many_connections": "More than {limit} connections from your address are open. Please close one first.",
        "too_many_messages": "That was more than {limit} messages in a minute. Please wait a moment.",
        "too_many_waiting": "{limit} messages are waiting already. Please wait for an answer first.",
        "only_text": "Only text can be sent here.",
        "message_too_large": "That message is far too long, so the connection was closed. Please send at most {limit} characters.",
        "idle_too_long": "Nothing was said for a long time, so the connection was closed.",
        "engine_switched": "{preferred} does not answer at the moment, so {answered} did.",
        # What the user sent cannot be used.
        "nothing_heard": "I could not hear any words. Please speak a little closer to the microphone and try again.",
        "recording_too_long": "That recording is longer than {limit_seconds} seconds. Please say it in shorter pieces.",
        "recording_too_large": "That file is larger than {limit_mb} MB. Please send a shorter recording, or only its sound.",
        "unreadable_audio": "This file cannot be read as sound. Please record again, or send a WAV, MP3, M4A, OGG or WebM file.",
        "empty_audio": "The recording is empty. Please check the microphone and record again.",
        "empty_text": "There is nothing to send yet. Please type a message first.",
        "text_too_long": "That message has {length} characters; the limit is {limit}. Please shorten it.",
        # The chat model.
        "chat_unreachable": "The chat model's server does not answer. Please try again in a moment.",
        "chat_timeout": "The chat model did not answer within {seconds:g} seconds. Please try again.",
        "chat_key_refused": "The chat model's server refuses the key. Please check OPENAI_KEY or OPENAI_API_KEY.",
        "chat_identity_refused": "Azure does not let this app's identity use the chat model. Please give it the role “Cognitive Services OpenAI User”.",
        "sign_in_failed": "Signing in to Azure failed. Please check the identity that Kaiwa runs as (az login, or its managed identity).",
        "chat_busy": "The chat model's server is over its limit. Please try again in {seconds} seconds.",
        "chat_quota": "The chat model's server is over its quota or busy. Please try again in a minute.",
        "chat_model_missing": "The chat model's server does not know the model “{model}”. Please check OPENAI_DEPLOYMENT or OPENAI_MODEL.",
        "chat_refused": "The chat model's server refused the request: {reason}",
        "chat_filtered": "The chat model's content filter stopped this answer. Please ask in another way.",
        "chat_said_nothing": "The chat model gave no answer. Please ask again, perhaps in other words.",
        "chat_gone": "The language model on this machine stopped and could not be started again. Please restart Kaiwa.",
        # Speech.
        "recognition_failed": "The speech recognition failed. Please try again.",
        "recognition_timeout": "The speech recognition took longer than {seconds:g} seconds. Please try a shorter recording.",
        "speech_unreachable": "The speech service does not answer. Please try again in a moment.",
        "speech_timeout": "The speech service did not answer within {seconds:g} seconds. Please try again.",
        "speech_key_refused": "The speech service refuses the key. Please check the speech service's key and region.",
        "speech_identity_refused": "The speech service does not let this app's identity in. Please check its role.",
        "speech_quota": "The speech service is over its quota or busy. Please try again in a minute.",
        "speech_busy": "The speech service is over its limit. Please try again in {seconds} seconds.",
        "speech_model_missing": "The speech service does not know the model “{model}”. Please check its name.",
        "speech_filtered": "The speech service's content filter stopped this. Please put it in another way.",
        "speech_refused": "The speech service refused the request: {reason}",
        "voice_failed": "The voice failed, so this answer is text only.",
        "voice_timeout": "The voice took longer than {seconds:g} seconds, so the rest of this answer is text only.",
        # Models and installation.
        "model_unavailable": (
            "The model “{model}” can be had neither from its hub nor from its package. "
            "Please check the network, or put the file {file} into {folder}."
        ),
        "disk_full": "The disk is full: {model} needs {needed_mb} MB in {folder}. Please free some room, or set MODELS_DIR.",
        "models_folder_unwritable": "The models folder {folder} cannot be written. Please set MODELS_DIR to another one.",
        # Serving.
        "port_taken": "Port {port} is taken. Please stop the other program, or choose another port: --port {another}",
        "openai_not_configured": "CHAT_ENGINE is openai, but neither OPENAI_BASE_URL nor OPENAI_API_KEY is set.",
        "speech_model_broken": "The speech recognition model in {folder} is missing or damaged. Please delete that folder and start Kaiwa again.",
        "model_not_on_hub": "The Hugging Face hub has no file {file}, or does not show it without a token. Please check LOCAL_CHAT_MODEL and HF_TOKEN.",
        "turn_broke": "Something went wrong inside Kaiwa, and it has been logged. Please try again.",
        "chat_lost": "The language model stopped in the middle of the answer. It starts again with your next question; please ask once more.",
        "chat_model_unnamed": "The chat model's server does not list its models. Please set OPENAI_MODEL.",
        "openmp_missing": "llama.cpp needs OpenMP. On Debian and Ubuntu: sudo apt install libgomp1",
        "azure_speech_not_configured": "Azure Speech is asked for, but AZURE_SPEECH_KEY is not set (with AZURE_AUTH=entra: AZURE_SPEECH_ENDPOINT).",
        "azure_chat_not_configured": "Azure OpenAI is asked for, but OPENAI_ENDPOINT is not set.",
        "openai_speech_not_configured": "Speech by an OpenAI-compatible server is asked for, but neither STT_BASE_URL or TTS_BASE_URL nor OPENAI_API_KEY is set.",
        "local_engines_missing": "The engines of this machine are not installed. Please run pip install -r requirements.txt, or configure Azure or another server for speech and chat.",
        "speech_not_configured": "The speech service's key or address cannot be right. Please check AZURE_SPEECH_KEY, AZURE_REGION and AZURE_SPEECH_ENDPOINT.",
        "persona_too_long": "The description of the persona is longer than {limit} characters. Please shorten it.",
        "address_unusable": "Kaiwa cannot serve on {host}, port {port}: {reason}. Please check --host and --port.",
        "share_failed": "No public link could be opened (is the internet reachable?). Kaiwa is only on {address}",
        "model_file_missing": "There is no file {file}. Please check LOCAL_CHAT_MODEL.",
        "model_file_broken": "The model {file} cannot be loaded. Please check that it is a whole GGUF file.",
    },
    page={
        "transcript": "Conversation",
        "welcome": "### Say something\nPress **Record**, speak, and press **Stop**. Or type a message.",
        "record": "Speak, or drop a recording",
        "type": "Message",
        "type_here": "Type a message…",
        "stop": "Stop",
        "clear": "New conversation",
        "reply_sound": "Spoken reply",
        "language": "Language you speak",
        "voice": "Voice",
        "voice_info": "It speaks the phrases of its own language; others get that language's voice.",
        "hear_voice": "Hear this voice",
        "voice_sample": "Sample",
        "speed": "Speaking speed",
        "persona": "Persona",
        "persona_info": "Choose one, or describe your own.",
        "automatic": "Automatic",
    },
    phases={
        "warming": "Waking up the engines…",
        "ready": "Ready when you are",
        "listening": "Listening",
        "recognising": "Recognising what you said",
        "thinking": "Thinking",
        "writing": "Answering",
        "speaking": "Speaking",
        "answered": "Answered",
        "stopped": "Stopped",
    },
    spoken_hints={
        "code": "I have put the code in the transcript.",
        "table": "I have put the table in the transcript.",
        "link": "the link",
    },
    stopped_mark="stopped",
    engine_roles=("hears", "thinks", "speaks"),
    voice_sample="Hello! This is how I sound. Shall we talk?",
    language_names={
        "auto": "Detect automatically",
        "ja": "Japanese (日本語)",
        "en": "English",
        "zh": "Chinese (中文)",
        "ko": "Korean (한국어)",
        "fr": "French (français)",
        "de": "German (Deutsch)",
        "es": "Spanish (español)",
        "it": "Italian (italiano)",
        "pt": "Portuguese (português)",
    },
    users_language="the user's language",
    system_prompt=(
        "You are Kaiwa, a warm and cheerful partner in a spoken conversation. Answer the question first, concretely, "
        "in one to three short sentences of plain everyday speech, politely and in {language}. No lists, no markdown, "
        "no code unless asked for. {persona}"
    ),
    examples=(
        ("Hello!", "Hi, it's lovely to talk with you! How is your day going?"),
        (
            "I can't sleep lately.",
            "That sounds rough. Try putting your phone away an hour before bed and having a warm drink.",
        ),
        (
            "Can you recommend a movie?",
            "Try Spirited Away, it's beautiful and full of wonder. Do you like animated films?",
        ),
    ),
    personas={
        "friendly": ("Friendly companion", ""),
        "tutor": (
            "Language tutor",
            "Help the user practise: correct mistakes gently, then ask a simple question.",
        ),
        "concise": ("Brief expert", "Answer in a single sentence, precise and to the point."),
        "interviewer": (
            "Job interviewer",
            "Hold a job interview: ask one question at a time and react to the answer.",
        ),
    },
)
